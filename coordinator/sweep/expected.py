"""How long runs will take, before any was measured. Pure."""

from collections.abc import Mapping, Sequence

from coordinator.config.sweep import SweepConfig
from coordinator.results.values import Case
from coordinator.sweep.study import Study
from coordinator.sweep.verifying import N_ROUND_TRIPS, ROW_SECONDS, links_of

DEPLOYING_SECONDS = 0.5
"""For cutting, sending what is small, opening sessions, taking off."""


def run_seconds(
    config: SweepConfig, *, latency_seconds: float, bottleneck_seconds: float, round_trip_seconds: float
) -> float:
    """What one run of a plan will take.

    Args:
        config: Of the sweep.
        latency_seconds: Of a lone request.
        bottleneck_seconds: From answer to answer under load.
        round_trip_seconds: Over the longest link of the plan.
    """
    effort = config.effort
    probing = (N_ROUND_TRIPS + 3) * round_trip_seconds + ROW_SECONDS
    loads = {
        "single_stream": _within(effort.seconds, effort.least, effort.requests, latency_seconds),
        "offline": _within(effort.seconds, effort.least, effort.requests, bottleneck_seconds) + latency_seconds,
    }
    warmup = effort.warmup * bottleneck_seconds + 2 * latency_seconds
    return DEPLOYING_SECONDS + probing + warmup + sum(loads[scenario] for scenario in config.scenarios)


def _within(seconds: float, least: int, most: int, each: float) -> float:
    return min(max(seconds, least * each), most * each)


def expected_seconds(config: SweepConfig, studies: Sequence[Study], cases: Sequence[Case]) -> Mapping[str, float]:
    """What one run of each case will take, by its key."""
    study_of = {(study.key.model, study.key.batch, study.key.cluster): study for study in studies}
    found = {}
    for case in cases:
        study = study_of[case.model, case.plan.batch, case.cluster]
        plane = next(name for name in config.data_planes if name == case.data_plane)
        links = study.under[case.condition, plane].cluster.link_of
        longest = max(links[way].fixed_seconds for way in links_of(case.plan))
        cost = study.cost_model(case.condition, plane).predict(case.plan)
        found[case.key] = run_seconds(
            config,
            latency_seconds=cost.latency_seconds,
            bottleneck_seconds=cost.bottleneck_seconds,
            round_trip_seconds=2 * longest,
        )
    return found
