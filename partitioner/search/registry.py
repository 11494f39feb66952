"""The engines by name, and which of them is exact for a problem."""

import importlib
from collections.abc import Callable, Collection, Sequence

from partitioner.errors import PlanError
from partitioner.search.exact.front import exact_front
from partitioner.search.exhaustive import exhaustive_front
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import MEMORY, TWO_OBJECTIVES, SearchProblem

Engine = Callable[[SearchProblem, Effort], EngineOutcome]
HEURISTICS = frozenset({"nsga2", "nsga3", "nsga2_random_key"})
"""Evolutionary engines. They keep checkpoints."""
COMPARED = HEURISTICS | {"minimum_cut"}
"""Engines whose front is compared with the exact one."""


def _late(module: str, function: str) -> Engine:
    """An engine whose module is imported when it runs: its library loads slowly."""

    def run(problem: SearchProblem, effort: Effort) -> EngineOutcome:
        engine: Engine = getattr(importlib.import_module(f"partitioner.search.{module}"), function)
        return engine(problem, effort)

    return run


ENGINES: dict[str, Engine] = {
    "exact": exact_front,
    "exhaustive": exhaustive_front,
    "labels": _late("labels.front", "label_front"),
    "minimum_cut": _late("minimum_cut", "minimum_cut_front"),
    **{name: _late("evolutionary.front", f"{name}_front") for name in sorted(HEURISTICS)},
}


def default_engine(problem: SearchProblem) -> str:
    """The engine that is exact for a problem: `exact` where it can, else `labels`."""
    is_beyond = beyond_two_objectives(problem.objectives, problem.bounds)
    return "labels" if is_beyond or problem.shares_resources else "exact"


def check_engine(
    engine: str, objectives: Sequence[str], bounded: Collection[str], *, has_checkpoint: bool = False
) -> None:
    """Does nothing where an engine can take objectives and bounds of these quantities.

    Raises:
        PlanError: It cannot, or there is none of this name.
    """
    if engine not in ENGINES:
        raise PlanError(f"Engine {engine!r} is unknown: choose one of {', '.join(sorted(ENGINES))}.")
    if has_checkpoint and engine not in HEURISTICS:
        raise PlanError(f"Engine {engine!r} keeps no checkpoint: choose one of {', '.join(sorted(HEURISTICS))}.")
    beyond = beyond_two_objectives(objectives, bounded)
    if beyond and engine in ("exact", "minimum_cut"):
        raise PlanError(
            f"Engine {engine!r} knows latency and throughput only, not {', '.join(beyond)}: use engine 'labels'."
        )


def beyond_two_objectives(objectives: Sequence[str], bounded: Collection[str]) -> tuple[str, ...]:
    """What engine `exact` cannot take: other objectives, and bounds on other sums."""
    wanted = [*objectives, *(name for name in bounded if name != MEMORY)]
    return tuple(dict.fromkeys(name for name in wanted if name not in TWO_OBJECTIVES))
