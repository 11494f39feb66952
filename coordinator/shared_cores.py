"""Nodes of one machine that compute on the same cores."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coordinator.fleet import FleetNode
from node_agent.config import DEFAULT_PROVIDERS
from node_agent.messages import NodeDescription
from partitioner.processors import SharedProcessor

ROUNDING = 1e-9
"""Share by which quotas that fill the cores may exceed them."""
MOST_NAMES = 3
"""Nodes up to which a group is named by all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreGroup:
    """Nodes whose cores overlap, and all their cores."""

    nodes: tuple[FleetNode, ...]
    cores: frozenset[int]

    @property
    def can_bind(self) -> bool:
        """Whether the nodes may want more than there is."""
        wanted = math.fsum(wanted_cores(node.description) for node in self.nodes)
        return len(self.nodes) > 1 and wanted > len(self.cores) * (1 + ROUNDING)

    @property
    def processor(self) -> SharedProcessor:
        """What the cost model needs of it; each node weighs what it can keep busy of the cores."""
        names = [node.name for node in self.nodes]
        shown = names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"]
        return SharedProcessor(
            name="+".join(shown),
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

    Exact where all nodes of a group have the same cores. Where their cores overlap in part, all cores of the group
    count as one pool, as if work could move among them freely: what nodes pinned to few of them can bear is
    overestimated then. A quota that several nodes share, as of one container, counts for each alone.
    """
    return tuple(group.processor for group in core_groups(nodes))


def core_groups(nodes: Iterable[FleetNode]) -> Iterator[CoreGroup]:
    """The groups that can bind, by their first nodes: nodes of one machine, connected by cores that overlap.

    Emulated nodes mostly wait and nodes with another execution provider compute elsewhere; both are in no group.
    """
    computing = [node for node in nodes if not node.is_paced and node.description.providers[:1] == DEFAULT_PROVIDERS]
    groups: list[list[FleetNode]] = []
    for node in computing:
        touched = [group for group in groups if any(_overlap(node, other) for other in group)]
        joined = [*(member for group in touched for member in group), node]
        groups = [*(group for group in groups if group not in touched), joined]
    ordered = (sorted(group, key=computing.index) for group in groups)
    for group in sorted(ordered, key=lambda members: computing.index(members[0])):
        found = _group(group)
        if found.can_bind:
            yield found


def _overlap(one: FleetNode, other: FleetNode) -> bool:
    is_one_host = one.description.host_id == other.description.host_id
    return is_one_host and bool(usable_cores(one.description) & usable_cores(other.description))


def _group(nodes: Sequence[FleetNode]) -> CoreGroup:
    return CoreGroup(
        nodes=tuple(nodes), cores=frozenset[int]().union(*(usable_cores(node.description) for node in nodes))
    )
