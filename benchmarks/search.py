"""The search engines' claims, on one core: seconds for the whole exact front at positions × unlike devices.

A figure is the median over random instances (`search_evolutionary.random_instance`) of one call of the engine, from the
problem's arrays to the whole front with its proof: every point of (latency, bottleneck), not a single pass. Intervals
span all instances. Compilation and the loading of compiled code are timed apart, in processes of their own.

Beside what is promised stand harder cases: a network a hundred times faster, whose fronts are several times longer;
stage times that are not additive, which cost a scan instead of a queue; and twelve devices of three types.

The robust search is timed over 100 network conditions (every link direction 10 times less to 10 times more than at
first, in rate and in delay), and judged by what its plans spare: the worst regret, over the conditions, of the plan
that is best at first, of the best plan found, and of a bound that holds for every plan.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  the number of threads is read when it loads

from benchmarks._figures import Figure, at_most, parse_arguments, publish  # noqa: E402
from benchmarks.search_evolutionary import random_instance  # noqa: E402
from partitioner.search.outcome import Effort  # noqa: E402
from partitioner.search.problem import SearchProblem  # noqa: E402
from partitioner.search.registry import ENGINES  # noqa: E402
from partitioner.search.robust.conditions import gather_conditions  # noqa: E402
from partitioner.search.robust.front import RobustOutcome, robust_front  # noqa: E402

PROMISED = ((200, 8, 0.5), (1000, 8, 1.5), (200, 12, 5.0))
"""Positions, devices, and most seconds for the whole front."""
FIRST_CALL = """
import time
began = time.perf_counter()
from partitioner.search.exact.front import exact_front
from benchmarks.search import general_instance, random_instance
from partitioner.search.outcome import Effort
for make in (random_instance, general_instance):
    exact_front(make(0, 5, 2), Effort())
print(time.perf_counter() - began)
"""


def main() -> int:
    """Measures every section and publishes its figures."""
    arguments = parse_arguments(__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n_instances = 3 if arguments.quick else 11
    sections = (
        compile_figures(),
        exact_figures(n_instances),
        robust_figures(n_instances, n_conditions=20 if arguments.quick else 100),
    )
    return publish([figure for section in sections for figure in section], arguments.json)


def compile_figures() -> list[Figure]:
    """Seconds of a process's first fronts, imports included: with no compiled code on disk, and with it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_CALL]
        runs = [
            float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
            for _ in range(2)
        ]
    return [
        Figure(name=name, value=value, interval=(value, value), unit="s")
        for name, value in zip(("exact_compile_seconds", "exact_cached_start_seconds"), runs, strict=True)
    ]


def exact_figures(n_instances: int) -> list[Figure]:
    """Seconds and points of whole fronts."""
    for make in (random_instance, general_instance):
        ENGINES["exact"](make(0, 5, 2), Effort())  # loads the compiled code
    figures: list[Figure] = []
    for n_positions, n_devices, bound in PROMISED:
        figures += timed(
            f"exact_{n_positions}x{n_devices}", random_instance, (n_positions, n_devices), n_instances, bound
        )
    figures += timed("exact_1000x8_fast_network", fast_network_instance, (1000, 8), n_instances)
    figures += timed("exact_200x8_not_additive", general_instance, (200, 8), n_instances)
    figures += timed("exact_200x12_of_3_types", three_types_instance, (200, 12), n_instances)
    return figures


def timed(
    name: str,
    make: Callable[[int, int, int], SearchProblem],
    size: tuple[int, int],
    n_instances: int,
    bound: float | None = None,
) -> list[Figure]:
    """Seconds for the whole front, and its points, over random instances of some positions and devices."""
    seconds, points = [], []
    for seed in range(n_instances):
        problem = make(seed, *size)
        began = time.perf_counter()
        outcome = ENGINES["exact"](problem, Effort())
        seconds.append(time.perf_counter() - began)
        points.append(len(outcome.plans))
        if not outcome.is_exact:
            sys.exit(f"The engine did not end: {outcome.statement}")
    value, interval = statistics.median(seconds), (min(seconds), max(seconds))
    return [
        Figure(name=f"{name}_seconds", value=value, interval=interval, unit="s")
        if bound is None
        else at_most(f"{name}_seconds", value, interval, "s", bound),
        Figure(
            name=f"{name}_points", value=statistics.median(points), interval=(min(points), max(points)), unit="plans"
        ),
    ]


def robust_figures(n_instances: int, n_conditions: int) -> list[Figure]:
    """Seconds of the robust search, and worst regrets in each objective; a regret of 0.5 is 50 % above the best."""
    robust_outcome(0, (5, 2), 2)  # loads the compiled code and the linear programmes
    seconds, outcomes = [], []
    for seed in range(n_instances):
        began = time.perf_counter()
        outcomes.append(robust_outcome(seed, (200, 8), n_conditions))
        seconds.append(time.perf_counter() - began)
    if not all(outcome.is_complete for outcome in outcomes):
        sys.exit("The robust search did not end.")
    name = f"robust_200x8_{n_conditions}_conditions"
    bound = 0.2 * n_conditions
    figures = [at_most(f"{name}_seconds", statistics.median(seconds), (min(seconds), max(seconds)), "s", bound)]
    for index, objective in enumerate(("latency", "bottleneck")):
        kinds = {
            "nominal": [outcome.nominal_regrets[:, index, index].max() for outcome in outcomes],
            "minimax": [outcome.regrets[:, :, index].max(axis=0).min() for outcome in outcomes],
            "bound": [outcome.least_worst_regret[index] for outcome in outcomes],
        }
        for kind, values in kinds.items():
            regret, interval = float(np.median(values)), (float(min(values)), float(max(values)))
            figures.append(
                Figure(name=f"{name}_{objective}_regret_{kind}", value=regret, interval=interval, unit="ratio")
            )
    return figures


def robust_outcome(seed: int, size: tuple[int, int], n_conditions: int) -> RobustOutcome:
    """The robust search from an instance's arrays, fronts of all conditions and judgement included."""
    nominal = random_instance(seed, *size)
    random = np.random.default_rng([seed, 2])
    shape = nominal.link_fixed_seconds.shape
    problems = {"probed": nominal}
    while len(problems) < n_conditions:
        delay, rate = 10 ** random.uniform(-1.0, 1.0, (2, *shape))
        problems[f"random-{len(problems):03}"] = nominal.with_links(
            nominal.link_fixed_seconds * delay, nominal.link_bytes_per_second * rate
        )
    return robust_front(gather_conditions(problems), "minimax", nominal, Effort())


def fast_network_instance(seed: int, n_positions: int, n_devices: int) -> SearchProblem:
    """Links a hundred times faster: nearly every cut is worth its hop."""
    problem = random_instance(seed, n_positions, n_devices)
    return replace(
        problem,
        link_fixed_seconds=problem.link_fixed_seconds / 100,
        link_bytes_per_second=problem.link_bytes_per_second * 100,
    )


def general_instance(seed: int, n_positions: int, n_devices: int) -> SearchProblem:
    """Each span takes up to 20 % longer than the sum of its units, by a draw of its own."""
    problem = random_instance(seed, n_positions, n_devices)
    factors = np.random.default_rng([seed, 1]).uniform(1.0, 1.2, problem.stage_seconds.shape)
    return replace(problem, stage_seconds=problem.stage_seconds * factors)


def three_types_instance(seed: int, n_positions: int, n_devices: int) -> SearchProblem:
    """Three unlike devices, each several times."""
    problem = random_instance(seed, n_positions, 3)
    kinds = np.arange(n_devices) % 3
    ends = np.append(kinds, 3)
    return replace(
        problem,
        device_names=tuple(f"device-{index}" for index in range(n_devices)),
        stage_seconds=problem.stage_seconds[kinds],
        stage_memory_bytes=problem.stage_memory_bytes[kinds],
        device_memory_bytes=problem.device_memory_bytes[kinds],
        link_fixed_seconds=problem.link_fixed_seconds[ends[:, None], ends],
        link_bytes_per_second=problem.link_bytes_per_second[ends[:, None], ends],
        max_stages=n_devices,
    )


if __name__ == "__main__":
    sys.exit(main())
