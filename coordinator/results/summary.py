"""How far a sweep has come, in figures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from coordinator.results.values import Case, Run, RunState, Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary:
    """A case and what its runs found."""

    key: str
    model: str
    cluster: str
    condition: str
    plan_label: str
    batch: int
    codec: str
    data_plane: str
    n_done: int
    n_invalid: int
    n_failed: int
    latency_seconds: float | None
    """Median over the runs that are done; None where none tells it. So the next."""
    throughput_per_second: float | None
    last_reason: str
    """Why the last run is not done; empty where it is, or where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """A sweep and its cases."""

    name: str
    created_at: str
    seed: int
    n_planned: int
    """Runs, at least."""
    n_done: int
    n_invalid: int
    n_failed: int
    cases: tuple[CaseSummary, ...]


def summarise(sweep: Sweep, runs: Sequence[Run]) -> SweepSummary:
    """The summary of a sweep with these runs; they need no samples."""
    by_case: dict[str, list[Run]] = {case.key: [] for case in sweep.cases}
    for run in runs:
        by_case[run.case_key].append(run)
    counts = _counts(runs)
    return SweepSummary(
        name=sweep.name,
        created_at=sweep.created_at,
        seed=sweep.seed,
        n_planned=sweep.n_planned,
        n_done=counts["done"],
        n_invalid=counts["invalid"],
        n_failed=counts["failed"],
        cases=tuple(_case(case, by_case[case.key]) for case in sweep.cases),
    )


def _case(case: Case, runs: Sequence[Run]) -> CaseSummary:
    counts = _counts(runs)
    return CaseSummary(
        key=case.key,
        model=case.model,
        cluster=case.cluster,
        condition=case.condition,
        plan_label=case.plan_label,
        batch=case.plan.batch,
        codec=case.codec,
        data_plane=case.data_plane,
        n_done=counts["done"],
        n_invalid=counts["invalid"],
        n_failed=counts["failed"],
        latency_seconds=_median(runs, "latency_seconds"),
        throughput_per_second=_median(runs, "throughput_per_second"),
        last_reason=max(runs, key=lambda run: (run.repeat, run.attempt)).reason if runs else "",
    )


def _counts(runs: Sequence[Run]) -> Counter[RunState]:
    return Counter(run.state for run in runs)


def _median(runs: Sequence[Run], figure: str) -> float | None:
    found = [run.figures[figure] for run in runs if run.state == "done" and figure in run.figures]
    return median(found) if found else None
