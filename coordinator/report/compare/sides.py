"""What two things are compared by: figures of plans under conditions, from a sweep or from a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coordinator.measurement import Estimate, Measurement
from coordinator.results.values import Run, Sweep

FACETS = ("model", "cluster", "nodes", "batch", "data plane", "codec", "condition", "plan")
"""What tells one case from another, in the order of `Subject.facets`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One case of one side."""

    facets: tuple[str, ...]
    """One for each of `FACETS`."""
    latency_by_repeat: Mapping[int, float]
    """Seconds, of each repeat that was measured."""
    throughput_by_repeat: Mapping[int, float]
    """Samples per second, likewise."""
    latency: Estimate | None = None
    """With its interval, where it was measured once and knows no repeats; so the next."""
    throughput: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two."""

    name: str
    subjects: tuple[Subject, ...]


def sweep_side(name: str, sweep: Sweep, runs: Iterable[Run]) -> Side:
    """All cases of a sweep with the runs that count."""
    done: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run.state == "done":
            done.setdefault(run.case_key, {})[run.repeat] = run
    return Side(
        name=name,
        subjects=tuple(
            Subject(
                facets=(
                    *(case.model, case.cluster, " + ".join(case.nodes), str(case.plan.batch)),
                    *(case.data_plane, case.codec, case.condition, case.plan_label),
                ),
                latency_by_repeat=_figures(done.get(case.key, {}), "latency_seconds"),
                throughput_by_repeat=_figures(done.get(case.key, {}), "throughput_per_second"),
            )
            for case in sweep.cases
        ),
    )


def run_side(name: str, model: str, cluster: str, measurement: Measurement) -> Side:
    """The measured plans of a run, each once; they are told apart by their stages."""
    subjects = {
        plan.plan.describe(): Subject(
            facets=(model, cluster, "", str(plan.plan.batch), "", "", "as it was", plan.plan.describe()),
            latency_by_repeat={},
            throughput_by_repeat={},
            latency=plan.latency_seconds.p50,
            throughput=plan.throughput_per_second,
        )
        for plan in reversed(measurement.plans)
    }
    return Side(name=name, subjects=tuple(reversed(subjects.values())))


def _figures(runs: Mapping[int, Run], name: str) -> dict[int, float]:
    return {repeat: value for repeat, run in runs.items() if (value := run.figures.get(name)) is not None and value > 0}
