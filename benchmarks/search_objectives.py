"""Fronts of three objectives at 100 positions and 8 unlike devices, within 0.1 %, on one core: engine `labels`.

Beside latency and bottleneck stands one of energy, memory and bytes on the wire; then both sums, or energy and memory,
as a fourth. The share that is promised is checked on smaller instances against a front that is a hundred times finer.
Intervals span all instances. Compilation is not counted: every kind of problem is searched once before.
"""

import os
import statistics
import sys
import time
from dataclasses import replace

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  the number of threads is read when it loads

from benchmarks._figures import Figure, at_most, parse_arguments, publish  # noqa: E402
from benchmarks.search_evolutionary import random_instance  # noqa: E402
from partitioner.front import FloatArray  # noqa: E402
from partitioner.search.encoding import evaluate  # noqa: E402
from partitioner.search.outcome import Effort  # noqa: E402
from partitioner.search.problem import BOTTLENECK, ENERGY, LATENCY, MEMORY, WIRE, SearchProblem  # noqa: E402
from partitioner.search.registry import ENGINES  # noqa: E402

ACCURACY, ROUGH = 0.001, 0.01
"""Of three objectives, and of four."""
FINER = 100
"""Times by which the accuracy is finer that a front is checked by."""
MOST_SECONDS = 15.0
"""Promised for three objectives."""
THREE = {"energy": (LATENCY, BOTTLENECK, ENERGY), "memory": (LATENCY, BOTTLENECK, MEMORY)}
THREE |= {"wire": (LATENCY, BOTTLENECK, WIRE)}
FOUR = {"energy_wire": (LATENCY, BOTTLENECK, ENERGY, WIRE), "energy_memory": (LATENCY, BOTTLENECK, ENERGY, MEMORY)}
LIMIT_SECONDS = 120.0
"""After which a search is given up, and the figure says so by standing there."""


def main() -> int:
    """Measures every section and publishes its figures."""
    arguments = parse_arguments(__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n_instances = 3 if arguments.quick else 11
    figures: list[Figure] = []
    for name, objectives in {**THREE, **FOUR}.items():
        ENGINES["labels"](objectives_instance(0, 5, 2, objectives), Effort(accuracy=ACCURACY))
        is_promised = len(objectives) == 3
        figures += timed(name, objectives, n_instances if is_promised else 3, is_promised=is_promised)
    for name, objectives in {**THREE, **FOUR}.items():
        figures.append(checked(name, objectives, n_instances))
    return publish(figures, arguments.json)


def timed(name: str, objectives: tuple[str, ...], n_instances: int, *, is_promised: bool) -> list[Figure]:
    """Seconds, whole plans met, and points of the front at 100 positions and 8 devices."""
    accuracy = ACCURACY if is_promised else ROUGH
    label = f"labels_100x8_{name}_{accuracy:g}"
    seconds, plans, points = [], [], []
    for seed in range(n_instances):
        problem = objectives_instance(seed, 100, 8, objectives)
        began = time.perf_counter()
        outcome = ENGINES["labels"](problem, Effort(accuracy=accuracy, budget_seconds=LIMIT_SECONDS))
        seconds.append(time.perf_counter() - began)
        plans.append(outcome.n_evaluated)
        points.append(len(outcome.plans))
    value, interval = statistics.median(seconds), (min(seconds), max(seconds))
    return [
        at_most(f"{label}_seconds", value, interval, "s", MOST_SECONDS)
        if is_promised
        else Figure(name=f"{label}_seconds", value=value, interval=interval, unit="s"),
        _counted(f"{label}_met", plans),
        _counted(f"{label}_points", points),
    ]


def checked(name: str, objectives: tuple[str, ...], n_instances: int) -> Figure:
    """The largest share by which the front exceeds a finer one anywhere, at 40 positions and 5 devices."""
    shares = []
    for seed in range(n_instances):
        problem = objectives_instance(seed, 40, 5, objectives)
        found, truth = (
            evaluate(problem, ENGINES["labels"](problem, Effort(accuracy=accuracy)).plans)
            for accuracy in (ROUGH, ROUGH / FINER)
        )
        shares.append(excess(found, truth))
    bound = (1 + ROUGH) * (1 + ROUGH / FINER) - 1
    return at_most(f"labels_40x5_{name}_excess", max(shares), (min(shares), max(shares)), "share", bound)


def excess(found: FloatArray, truth: FloatArray) -> float:
    """The least share by which, for every point of the truth, one found exceeds it in no figure by more."""
    factors = [float((found / point).max(axis=1).min()) for point in truth]
    return max(factors) - 1.0


def objectives_instance(seed: int, n_positions: int, n_devices: int, objectives: tuple[str, ...]) -> SearchProblem:
    """`random_instance` with 2 … 20 W, weights that are heavier at the end, and buffers for the boundaries."""
    problem = random_instance(seed, n_positions, n_devices)
    random = np.random.default_rng([seed, 2])
    weights = random.lognormal(0.0, 1.0, n_positions) * np.linspace(2e5, 2e6, n_positions)
    totals = np.append(0.0, np.cumsum(weights))
    memory = totals[None, :] - totals[:, None] + 2 * np.maximum.outer(problem.boundary_bytes, problem.boundary_bytes)
    return replace(
        problem,
        device_watts=random.uniform(2, 20, n_devices),
        stage_memory_bytes=np.where(np.isfinite(problem.stage_seconds), np.ceil(memory), 0.0),
        objectives=objectives,
    )


def _counted(name: str, counts: list[int]) -> Figure:
    value, interval = statistics.median(counts), (min(counts), max(counts))
    return Figure(name=name, value=value, interval=interval, unit="plans")


if __name__ == "__main__":
    sys.exit(main())
