"""The engines by name, and which of them is exact for a problem."""

import importlib
from collections.abc import Callable

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
    return "labels" if beyond_two_objectives(problem) or problem.shares_resources else "exact"


def beyond_two_objectives(problem: SearchProblem) -> tuple[str, ...]:
    """What engine `exact` cannot take: other objectives, and bounds on other sums."""
    bounded = [quantity.name for quantity in problem.quantities if quantity.name in problem.bounds]
    wanted = [*problem.objectives, *(name for name in bounded if name != MEMORY)]
    return tuple(dict.fromkeys(name for name in wanted if name not in TWO_OBJECTIVES))
