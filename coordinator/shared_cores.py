"""Nodes of one machine that compute on the same cores."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from coordinator.fleet import FleetNode
from node_agent.config import DEFAULT_PROVIDERS
from node_agent.messages import NodeDescription
from partitioner.plan import ROUNDING
from partitioner.processors import SharedProcessor

MOST_NAMES = 3
"""Nodes up to which a group is named by all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreGroup:
    """Nodes and the cores beyond which none of them computes."""

    nodes: tuple[FleetNode, ...]
    cores: frozenset[int]

    @property
    def can_bind(self) -> bool:
        """Whether the nodes may want more than there is."""
        wanted = math.fsum(wanted_cores(node.description) for node in self.nodes)
        return len(self.nodes) > 1 and wanted > len(self.cores) * (1 + ROUNDING)

    def processor(self, taken: Collection[str]) -> SharedProcessor:
        """What the cost model needs of it, under a name that is not taken.

        Each node weighs what it can keep busy of the cores.
        """
        names = [node.name for node in self.nodes]
        short = [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"]
        name = "+".join(names if len(names) <= MOST_NAMES else short)
        return SharedProcessor(
            name="+".join(names) if name in taken else name,
            shares=tuple((node.name, wanted_cores(node.description) / len(self.cores)) for node in self.nodes),
        )


def wanted_cores(description: NodeDescription) -> float:
    """Cores' worth of time that a node uses while it computes: of its threads, cores and quota the least."""
    most = min(description.n_threads, len(usable_cores(description)))
    return min(most, description.cpu_limit) if description.cpu_limit else most


def usable_cores(description: NodeDescription) -> frozenset[int]:
    """Numbers of a node's cores; the first ones of the machine where it does not say which."""
    return frozenset(description.cores or range(description.n_cores))


def shared_processors(nodes: Iterable[FleetNode]) -> tuple[SharedProcessor, ...]:
    """The processor of each group of nodes that may want more cores than they have.

    Exact where nodes have the same cores, or all cores of some are among those of others. Where cores overlap
    otherwise, those of all count as one pool, as if work could move among them freely, which overestimates what they
    bear. A quota that several nodes share, as that of one container, counts for each alone.
    """
    found: list[SharedProcessor] = []
    for group in core_groups(nodes):
        found.append(group.processor([one.name for one in found]))
    return tuple(found)


def core_groups(nodes: Iterable[FleetNode]) -> Iterator[CoreGroup]:
    """The groups that can bind, small ones first on each machine.

    They are nodes that are connected by overlapping cores, and among them those that stay within the cores of one.
    Emulated nodes mostly wait and nodes with another execution provider compute elsewhere; both are in no group.
    """
    computing = [node for node in nodes if not node.is_paced and node.description.providers[:1] == DEFAULT_PROVIDERS]
    for connected in _connected(computing):
        of_each = [usable_cores(node.description) for node in connected]
        pools = dict.fromkeys([*of_each, frozenset[int]().union(*of_each)])
        for pool in sorted(pools, key=len):
            inside = (node for node, cores in zip(connected, of_each, strict=True) if cores <= pool)
            group = CoreGroup(nodes=tuple(inside), cores=pool)
            if group.can_bind:
                yield group


def _connected(nodes: Sequence[FleetNode]) -> list[list[FleetNode]]:
    """Nodes of one machine whose cores overlap, directly or by way of others; in the order of the nodes."""
    groups: list[list[FleetNode]] = []
    for node in nodes:
        touched = [group for group in groups if any(_overlap(node, other) for other in group)]
        joined = [*(member for group in touched for member in group), node]
        groups = [*(group for group in groups if group not in touched), joined]
    ordered = [sorted(group, key=nodes.index) for group in groups]
    return sorted(ordered, key=lambda group: nodes.index(group[0]))


def _overlap(one: FleetNode, other: FleetNode) -> bool:
    is_one_host = one.description.host_id == other.description.host_id
    return is_one_host and bool(usable_cores(one.description) & usable_cores(other.description))
