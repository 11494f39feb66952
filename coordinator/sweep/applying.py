"""Network conditions on emulated links: what senders are told, and what links then are. Pure.

Only links between nodes of this machine are emulated, by their senders, so that a condition is a description of the
cluster with other links: the next deployment follows it, and no agent is started anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coordinator.config import ClusterConfig
from coordinator.config.bandwidth_trace import RecordedStep
from coordinator.config.quantities import duration_text, rate_text
from coordinator.config.sections import DataPlane, LinksConfig
from coordinator.config.sweep_relations import directions_of
from coordinator.errors import ConditionError
from coordinator.sweep.emulated import Extent
from node_agent.messages import LinkEmulation, LinkStep
from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.search.robust.network import Direction, LinkCondition, NetworkCondition

NOTHING = LinkCondition()
_HARDLY_SLOWER = 1.25
"""A link may be asked to be so many times faster than it was probed before that is refused: probes err."""


def check_conditions(config: ClusterConfig, conditions: Sequence[NetworkCondition]) -> None:
    """Does nothing where every condition can be had on a cluster, as far as its description tells.

    Raises:
        ConditionError: Naming each condition that cannot, its links, what is missing, and what else can be done.
    """
    found = [(condition, [*_changed_real_links(config, condition)]) for condition in conditions]
    refused = [(condition, ways) for condition, ways in found if ways]
    if refused:
        faults = [f"  '{condition.name}' changes {_ways_text(ways)}" for condition, ways in refused]
        names = [node.name for node in config.nodes if not node.local]
        remote = ", ".join(f"'{name}'" for name in names)
        lines = (
            f"Conditions cannot be applied to the links of '{config.name}', because {remote} is not local and its "
            "agent shapes no real link:",
            *faults,
            "Instead: measure these links as they are (condition as-is); or have the machines slow what they send, by "
            "the command of each condition, and sweep as-is once for each (needs ssh sections, root there, and a "
            "kernel with netem):",
            *(f"  {_shape_command(condition.every_link, names)}" for condition, _ in refused),
            "or emulate the nodes here (local: true).",
        )
        raise ConditionError("\n".join(lines))


def _ways_text(ways: Sequence[Direction]) -> str:
    shown = ", ".join(f"{source} → {target}" for source, target in ways[:4])
    return f"{shown} and others" if len(ways) > 4 else shown


def _shape_command(change: LinkCondition, nodes: Sequence[str]) -> str:
    """What slows the nodes as a condition wants every link; factors are of links that are not known here."""
    figures = {
        "--delay": change.delay_seconds and f"{change.delay_seconds * 1e3:g}ms",
        "--jitter": change.jitter_seconds and f"{change.jitter_seconds * 1e3:g}ms",
        "--rate": change.bytes_per_second and f"{change.bytes_per_second * 8 / 1e6:g}mbit",
        "--loss": change.loss and f"{change.loss * 100:g}%",
    }
    wanted = [f"{option} {text}" for option, text in figures.items() if text]
    return " ".join(["splitfront nodes shape", *nodes, *(wanted or ["--delay DELAY --rate RATE"])])


def _changed_real_links(config: ClusterConfig, condition: NetworkCondition) -> Iterator[Direction]:
    for source, target in directions_of(config):
        ends = [config.node_of[name] for name in (source, target) if name != CLIENT]
        if change_of(condition, (source, target)) != NOTHING and not all(node.local for node in ends):
            yield source, target


def change_of(condition: NetworkCondition, direction: Direction) -> LinkCondition:
    """What a condition makes of one link; a factor of 1 leaves it as it is."""
    change = condition.links.get(direction, condition.every_link).over(condition.every_link)
    return replace(
        change,
        delay_factor=None if change.delay_factor == 1.0 else change.delay_factor,
        rate_factor=None if change.rate_factor == 1.0 else change.rate_factor,
    )


def emulated_link(bare: Link, emulation: LinkEmulation | None) -> Link:
    """What a link will be found to be, whose sender emulates it on top of what it is; on average where it changes.

    Delays add up; a lone message is first copied and then waits for its turn, so that its times per byte add up, too;
    many in a row go at the pace of the slower of both. What losses cost says `partitioner.search.robust.network`.
    """
    if emulation is None:
        return bare
    extent = Extent.of(emulation)
    rate = extent.mean_rate
    lone = 1 / (1 / bare.bytes_per_second + (1 / rate if rate else 0.0))
    busy = min(bare.sustained_bytes_per_second, rate or bare.sustained_bytes_per_second)
    found = replace(
        bare,
        fixed_seconds=bare.fixed_seconds + extent.mean_delay,
        bytes_per_second=lone,
        busy_bytes_per_second=max(busy, lone),
        jitter_seconds=(bare.jitter_seconds**2 + emulation.jitter_seconds**2) ** 0.5,
    )
    return LinkCondition(loss=emulation.loss).apply(found)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A cluster under a condition."""

    config: ClusterConfig
    """Its links say what senders are to emulate."""
    cluster: Cluster
    """As it is predicted from."""


class ShapedCluster(ClusterConfig):
    """A cluster whose links are emulated as a condition wants it. Made by `apply_to`."""

    emulations: Mapping[Direction, LinkEmulation] = {}
    """What the sender of each direction is told; those that are told nothing are left out."""

    def link_emulation(self, source: str, target: str) -> LinkEmulation | None:
        """As of any cluster."""
        return self.emulations.get((source, target))


def apply_to(
    config: ClusterConfig,
    bare: Cluster,
    condition: NetworkCondition,
    *,
    plane: DataPlane,
    trace: Sequence[RecordedStep] = (),
) -> Applied:
    """A cluster under a condition.

    Args:
        config: As described, with the links that factors refer to.
        bare: The cluster, its links probed over `plane` without any emulation.
        condition: What becomes of the links, on average where they change.
        plane: Data plane of all links.
        trace: What links follow that have no rate of their own; none: they stay as they are.

    Raises:
        ConditionError: A link is asked to be faster, or nearer, than it is; all such are named.
    """
    faults: list[str] = []
    emulations: dict[Direction, LinkEmulation] = {}
    for link in bare.links:
        direction = (link.source, link.target)
        nominal = config.link_emulation(*direction)
        change = change_of(condition, direction)
        wanted = nominal if change == NOTHING else _emulation(link, nominal, change)
        if wanted is not None and trace and not _has_own_rate(condition, direction):
            wanted = replace(wanted, delay_seconds=0.0, bytes_per_second=0.0, steps=_steps(trace, wanted))
        if wanted is not None:
            faults += _faults_of(link, wanted)
            emulations[direction] = wanted
    if faults:
        lines = (f"Condition '{condition.name}' cannot be had on '{config.name}':", *faults)
        advice = "Ask for less, or for a factor such as rate: 0.5x."
        raise ConditionError("\n  ".join((*lines, advice)))
    fields = _fields(bare_config(config, plane))
    shaped = ShapedCluster.model_construct(**fields, emulations=emulations)
    found = (emulated_link(link, emulations.get((link.source, link.target))) for link in bare.links)
    links = tuple(replace(link, emulation=shaped.describe_link(link.source, link.target)) for link in found)
    return Applied(config=shaped, cluster=replace(bare, links=links))


def bare_config(config: ClusterConfig, plane: DataPlane) -> ClusterConfig:
    """The same cluster without any emulated link, all links over one data plane."""
    links = [link.model_copy(update=_UNSHAPED) for link in config.links.between]
    changed = {"links": LinksConfig.model_construct(between=tuple(links)), "data_plane": plane}
    return ClusterConfig.model_construct(**_fields(config) | changed)


def _fields(config: ClusterConfig) -> dict[str, Any]:
    # Not `model_copy`, which would take along what is cached of the links.
    return {name: getattr(config, name) for name in ClusterConfig.model_fields}


_UNSHAPED: Mapping[str, None] = dict.fromkeys(
    ("delay_seconds", "jitter_seconds", "bytes_per_second", "loss", "data_plane")
)


def _has_own_rate(condition: NetworkCondition, direction: Direction) -> bool:
    own = condition.links.get(direction, NOTHING)
    return own.bytes_per_second is not None or own.rate_factor is not None


def _steps(trace: Sequence[RecordedStep], wanted: LinkEmulation) -> tuple[LinkStep, ...]:
    """With the delay that is wanted, where the trace tells none."""
    return tuple(
        LinkStep(
            seconds=step.seconds,
            bytes_per_second=step.bytes_per_second,
            delay_seconds=wanted.delay_seconds if step.delay_seconds is None else step.delay_seconds,
        )
        for step in trace
    )


def _emulation(bare: Link, nominal: LinkEmulation | None, change: LinkCondition) -> LinkEmulation:
    """What the sender is told. Factors are on what the link is by its description; delays and rates are added to it."""
    base = nominal or LinkEmulation()
    described = emulated_link(bare, nominal)
    delay, rate = base.delay_seconds, base.bytes_per_second
    if change.delay_seconds is not None:
        delay = change.delay_seconds
    elif change.delay_factor is not None:
        delay = described.fixed_seconds * change.delay_factor - bare.fixed_seconds
    if change.bytes_per_second is not None:
        rate = change.bytes_per_second
    elif change.rate_factor is not None:
        rate = described.sustained_bytes_per_second * change.rate_factor
    return LinkEmulation(
        delay_seconds=delay,
        jitter_seconds=base.jitter_seconds if change.jitter_seconds is None else change.jitter_seconds,
        bytes_per_second=rate,
        loss=base.loss if change.loss is None else change.loss,
        seed=base.seed,
    )


def _faults_of(bare: Link, wanted: LinkEmulation) -> Iterator[str]:
    where, sustained = f"{bare.source} → {bare.target}", bare.sustained_bytes_per_second
    most = Extent.of(wanted).most_rate
    if most > _HARDLY_SLOWER * sustained:
        yield f"{where} is to carry {rate_text(most)}, but carries {rate_text(sustained)} at most"
    if wanted.delay_seconds < 0:
        least = duration_text(bare.fixed_seconds)
        yield f"{where} is to have {duration_text(-wanted.delay_seconds)} less delay than the {least} that it has bare"
