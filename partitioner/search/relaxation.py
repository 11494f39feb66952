"""Which bounds cannot be kept together, and the smallest relaxation of each that helps."""

import math
from dataclasses import replace

import numpy as np

from partitioner.bounds import seconds_text
from partitioner.search.encoding import evaluate
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, ENERGY, ERROR, LATENCY, MEMORY, WIRE, SearchProblem
from partitioner.search.registry import ENGINES, default_engine
from partitioner.stage_memory import format_mebibytes

WORDS = {LATENCY: "latency", MEMORY: "memory", ENERGY: "energy", WIRE: "bytes sent", ERROR: "output error"}
MOST_SECONDS = 20.0
"""For each question that an explanation asks."""


def explain_bounds(problem: SearchProblem) -> str:
    """Why no plan keeps the bounds of a problem that has plans without them."""
    wanted = [_inequality(problem, name, most) for name, most in problem.bounds.items()]
    if len(wanted) == 1:
        ((name, _),) = problem.bounds.items()
        return f"No plan has {wanted[0]}: the best is {_inequality(problem, name, least_of(problem, name, {}))}."
    relaxed = {}
    for name in problem.bounds:
        others = {other: most for other, most in problem.bounds.items() if other != name}
        least = least_of(problem, name, others)
        if math.isfinite(least):
            relaxed[name] = _inequality(problem, name, least)
    together = f"No plan has {' and '.join(wanted)}"
    if relaxed:
        return f"{together} together. With the others kept, the least relaxation is {'; or '.join(relaxed.values())}."
    alone = [_inequality(problem, name, least_of(problem, name, {})) for name in problem.bounds]
    return f"{together}, and to relax one of them does not help. Without the others the best are: {'; '.join(alone)}."


def least_of(problem: SearchProblem, name: str, bounds: dict[str, float]) -> float:
    """The least figure of a quantity that a plan within bounds has; infinity where none was found.

    It is the least of all plans, unless the search for it lasts longer than `MOST_SECONDS`.
    """
    other = LATENCY if name != LATENCY else BOTTLENECK
    asked = replace(problem, objectives=(name, other), bounds=bounds)
    outcome = ENGINES[default_engine(asked)](asked, Effort(budget_seconds=MOST_SECONDS))
    return float(np.min(evaluate(asked, outcome.plans)[:, 0], initial=np.inf))


def _inequality(problem: SearchProblem, name: str, most: float) -> str:
    """`latency <= 36.3 ms`; a bottleneck is told as the throughput that it permits."""
    if name == BOTTLENECK:
        batch = 1 if problem.cost_model is None else problem.cost_model.graph.batch
        return f"throughput >= {batch / most if most else math.inf:.4g}/s"
    figure = {
        LATENCY: lambda: seconds_text(most),
        MEMORY: lambda: format_mebibytes(most),
        ENERGY: lambda: f"{most:.4g} J",
        WIRE: lambda: f"{most / 1e6:.4g} MB",
        ERROR: lambda: f"{most:.3%}",
    }[name]()
    return f"{WORDS[name]} <= {figure}"
