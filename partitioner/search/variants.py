"""One front over problems that differ in batch and window.

With a window of W requests in flight a sample takes `max(bottleneck, latency / W) / batch` seconds. That grows with
latency and bottleneck, so that what a problem's front of both dominates is dominated here, too: the front over all is
among the points of the fronts of each, and exact where those are.
"""

import time
from collections.abc import Sequence
from itertools import chain

import numpy as np

from partitioner.errors import InfeasibleError, NoneFoundError, PlanError
from partitioner.front import FloatArray, front_indices
from partitioner.hypervolume import hypervolume
from partitioner.search.engines import reference_point, search
from partitioner.search.outcome import Clock, Progress
from partitioner.search.problem import BOTTLENECK, ENERGY, LATENCY, WIRE, SearchProblem
from partitioner.search.result import Certificate, SearchResult

SAMPLE = "sample_seconds"
"""Takes the place of the bottleneck among the objectives."""


def search_variants(
    problems: Sequence[SearchProblem],
    engine: str | None = None,
    *,
    budget_seconds: float | None = None,
    accuracy: float = 0.0,
    seed: int = 0,
    on_progress: Progress | None = None,
    clock: Clock = time.monotonic,
) -> SearchResult:
    """The front over several problems, each made from a cost model with a batch and a window of its own.

    Args:
        problems: With the same objectives, latency and bottleneck among them.
        engine: As for `engines.search`, for each problem.
        budget_seconds: For all together.
        accuracy: As for `engines.search`.
        seed: As for `engines.search`.
        on_progress: As for `engines.search`.
        clock: Seconds, never going back.

    Raises:
        PlanError: There are no problems, or their objectives cannot be compared.
        InfeasibleError: No problem has a plan that satisfies the constraints.
        NoneFoundError: None was found within the budget.
    """
    objectives = _common_objectives(problems)
    names = tuple(map(_name, problems))
    began = clock()
    found: list[tuple[str, SearchResult]] = []
    unanswered: list[tuple[str, NoneFoundError]] = []
    reasons: list[InfeasibleError] = []
    for index, (name, problem) in enumerate(zip(names, problems, strict=True)):
        if on_progress is not None:
            on_progress(index / len(problems), f"{name}, {index + 1} of {len(problems)}")
        try:
            share = None if budget_seconds is None else budget_seconds / len(problems)
            result = search(problem, engine, budget_seconds=share, accuracy=accuracy, seed=seed, clock=clock)
            found.append((name, result))
        except InfeasibleError as exc:
            reasons.append(exc)
        except NoneFoundError as exc:
            unanswered.append((name, exc))
    if not found:
        raise unanswered[-1][1] if unanswered else reasons[-1]
    return _merged(found, unanswered, objectives, "; ".join(names), seconds=clock() - began)


def _common_objectives(problems: Sequence[SearchProblem]) -> tuple[str, ...]:
    objectives = {problem.objectives for problem in problems}
    if len(objectives) != 1:
        raise PlanError(f"Variants want one set of objectives, got {len(objectives)}.")
    (names,) = objectives
    if not {LATENCY, BOTTLENECK} <= set(names):
        raise PlanError(
            f"Windows and batches are weighed by latency and throughput: want both, got {', '.join(names)}."
        )
    batches = {problem.cost_model.graph.batch for problem in problems if problem.cost_model is not None}
    if len(batches) > 1 and {ENERGY, WIRE} & set(names):
        raise PlanError(
            "Energy and bytes are those of a request: requests of unlike batches cannot be compared by them."
        )
    return tuple(SAMPLE if name == BOTTLENECK else name for name in names)


def _merged(
    found: Sequence[tuple[str, SearchResult]],
    unanswered: Sequence[tuple[str, NoneFoundError]],
    objectives: tuple[str, ...],
    names: str,
    *,
    seconds: float,
) -> SearchResult:
    results = [result for _, result in found]
    candidates = list(chain.from_iterable(result.front for result in results))
    points = np.array([[getattr(candidate.cost, name) for name in objectives] for candidate in candidates])
    kept = front_indices(points)
    return SearchResult(
        engine=results[0].engine,
        front=tuple(candidates[index] for index in kept),
        dominated=tuple(chain.from_iterable(result.dominated for result in results)),
        certificate=_certify(points[kept], found, unanswered, names),
        seed=results[0].seed,
        seconds=seconds,
        n_evaluated=sum(result.n_evaluated for result in results),
        objectives=objectives,
    )


def _certify(
    points: FloatArray,
    found: Sequence[tuple[str, SearchResult]],
    unanswered: Sequence[tuple[str, NoneFoundError]],
    names: str,
) -> Certificate:
    """No better than that of the problem of which least is known; one that was not answered has none."""
    certificates = [(name, result.certificate) for name, result in found]
    doubts = [(np.inf, f"{name}: {error}") for name, error in unanswered]
    doubts += [(_doubt(certificate), f"{name}: {certificate.statement}") for name, certificate in certificates]
    gap, least_known = max(doubts, key=lambda doubt: doubt[0])
    is_exact = not unanswered and all(certificate.is_exact for _, certificate in certificates)
    which = f"For each: {certificates[0][1].statement}" if is_exact else f"Least is known of {least_known}"
    reference = reference_point(points)
    volume = hypervolume(points, reference)
    return Certificate(
        is_exact=is_exact,
        statement=f"The best of {names}. {which}",
        hypervolume=volume,
        exact_hypervolume=volume if is_exact else None,
        reference=reference,
        gap=gap if np.isfinite(gap) else None,
    )


def _doubt(certificate: Certificate) -> float:
    return np.inf if certificate.gap is None else certificate.gap


def _name(problem: SearchProblem) -> str:
    model = problem.cost_model
    if model is None:
        return "bare arrays"
    window = "any window" if model.window is None else f"window {model.window}"
    return f"batch {model.graph.batch}, {window}"
