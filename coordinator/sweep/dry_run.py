"""What a sweep would come to, from its file and the graphs of its models alone: no node is started."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from coordinator.config import ClusterConfig
from coordinator.config.sweep_file import ClusterChoice, SweepFile
from coordinator.sweep.applying import change_of
from coordinator.sweep.expected import run_seconds
from coordinator.sweep.plan_choices import Chosen, chosen_stages
from partitioner.cluster import CLIENT
from partitioner.graph import Graph
from partitioner.search.robust.network import Direction, NetworkCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a model on a cluster under a condition would come to."""

    model: str
    batch: int
    cluster: str
    condition: str
    n_plans: int
    """With codecs and data planes counted; those of a predicted front are not."""
    repeat_seconds: float
    """Each of them once, computing not counted."""


def outlook(file: SweepFile, graph_of: Callable[[str, int], Graph]) -> tuple[Outlook, ...]:
    """All of a sweep; `graph_of` gives the graph of a model at a batch."""
    return tuple(
        found
        for choice in file.clusters
        for model in file.config.models
        for batch in file.config.batches
        for found in _of_study(file, choice, model.label, graph_of(model.label, batch))
    )


def _of_study(file: SweepFile, choice: ClusterChoice, model: str, graph: Graph) -> Iterator[Outlook]:
    config = file.config
    plans = {
        chosen.stages: chosen
        for subset in choice.subsets
        for chosen in chosen_stages(config.plans, graph, [], subset, seed=config.seed)
    }
    n_planes = len(config.data_planes)
    for condition in file.conditions(choice.config):
        times = [n_planes * (len(config.codecs) if len(stages) > 1 else 1) for stages in plans]
        seconds = [_seconds(file, choice.config, condition, graph, chosen) for chosen in plans.values()]
        yield Outlook(
            model=model,
            batch=graph.batch,
            cluster=choice.config.name,
            condition=condition.name,
            n_plans=sum(times),
            repeat_seconds=sum(n * each for n, each in zip(times, seconds, strict=True)),
        )


def _seconds(
    file: SweepFile, config: ClusterConfig, condition: NetworkCondition, graph: Graph, chosen: Chosen
) -> float:
    """Of one run: what the network takes, and the effort."""
    places = [CLIENT, *(stage.device for stage in chosen.stages), CLIENT]
    positions = [0, *(stage.stop for stage in chosen.stages)]
    hops = [_way(config, condition, (source, target)) for source, target in pairwise(places)]
    sending = [graph.boundary_bytes(at) / rate if rate else 0.0 for at, (_, rate) in zip(positions, hops, strict=True)]
    return run_seconds(
        file.config,
        latency_seconds=sum(delay for delay, _ in hops) + sum(sending),
        bottleneck_seconds=max(sending),
        round_trip_seconds=2 * max(delay for delay, _ in hops),
    )


def _way(config: ClusterConfig, condition: NetworkCondition, direction: Direction) -> tuple[float, float]:
    """(delay, rate) that are asked for; 0 where nothing is. Factors are on what is not known yet, and do not count."""
    nominal, change = config.link_emulation(*direction), change_of(condition, direction)
    delay = nominal.delay_seconds if nominal else 0.0
    rate = nominal.bytes_per_second if nominal else 0.0
    return (
        delay if change.delay_seconds is None else change.delay_seconds,
        rate if change.bytes_per_second is None else change.bytes_per_second,
    )
