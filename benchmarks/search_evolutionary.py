"""The evolutionary engines' claim: how much of the exact hypervolume they find at 200 positions and 8 unlike devices.

Each engine has some seconds on one core, and is seeded with the two extreme plans, never with the exact front that
judges it. The plain random-key encoding has the same seeds, loop and archive: the difference is the operators'.
"""

import os
import statistics
import sys

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  the number of threads is read when it loads

from benchmarks._figures import Figure, at_least, parse_arguments, publish  # noqa: E402
from partitioner.hypervolume import hypervolume  # noqa: E402
from partitioner.search.encoding import EncodedPlans, evaluate  # noqa: E402
from partitioner.search.engines import reference_point  # noqa: E402
from partitioner.search.outcome import Effort  # noqa: E402
from partitioner.search.problem import SearchProblem  # noqa: E402
from partitioner.search.registry import ENGINES  # noqa: E402

JUDGED = ("nsga2", "nsga3", "nsga2_random_key")


def main() -> int:
    """Judges each engine on random instances by the exact front of each."""
    arguments = parse_arguments(__doc__)
    if arguments.quick:
        return publish(figures(n_instances=3, n_positions=100, n_devices=6, seconds=2.0), arguments.json)
    return publish(figures(n_instances=10, n_positions=200, n_devices=8, seconds=5.0), arguments.json)


def figures(*, n_instances: int, n_positions: int, n_devices: int, seconds: float) -> list[Figure]:
    """Shares of the exact hypervolume: median and worst; intervals span all instances."""
    shares: dict[str, list[float]] = {engine: [] for engine in JUDGED}
    ENGINES["nsga2"](random_instance(0, 5, 2), Effort(n_evaluations=1))  # loads pymoo, which no search waits for
    for seed in range(n_instances):
        problem = random_instance(seed, n_positions, n_devices)
        exact = ENGINES["exact"](problem, Effort())
        if not exact.is_exact:
            sys.exit("The exact engine did not end: there is nothing to judge by.")
        for engine, found in shares.items():
            outcome = ENGINES[engine](problem, Effort(seed=seed, budget_seconds=seconds))
            found.append(share(problem, outcome.plans, exact.plans))
    size = f"{n_positions}x{n_devices}"
    bounds = {f"nsga2_{size}_hypervolume_median": 0.98, f"nsga2_{size}_hypervolume_worst": 0.95}
    result = []
    for engine, found in shares.items():
        label = engine.removeprefix("nsga2_")
        for kind, value in (("median", statistics.median(found)), ("worst", min(found))):
            name, interval = f"{label}_{size}_hypervolume_{kind}", (min(found), max(found))
            bound = bounds.get(name)
            result.append(
                Figure(name=name, value=value, interval=interval, unit="ratio")
                if bound is None
                else at_least(name, value, interval, "ratio", bound)
            )
    return result


def share(problem: SearchProblem, found: EncodedPlans, exact: EncodedPlans) -> float:
    """Hypervolume over the exact front's, the reference a little worse than the exact front in each objective."""
    front = evaluate(problem, exact)
    reference = reference_point(front)
    return hypervolume(evaluate(problem, found), reference) / hypervolume(front, reference)


def random_instance(seed: int, n_positions: int, n_devices: int) -> SearchProblem:
    """A chain of units like a convolutional network on unlike devices and links.

    Work per unit is log-normal, of four kinds that devices are good at to different degrees; devices differ by up to 8
    times in speed; boundaries shrink along the chain; links have 0.2 … 5 ms and 80 … 1000 Mbit/s, each direction its
    own. The whole model takes about a second on the slowest device.
    """
    random = np.random.default_rng(seed)
    work = random.lognormal(0.0, 0.8, n_positions)
    kinds = random.integers(4, size=n_positions)
    speed = np.exp(random.uniform(0.0, np.log(8.0), n_devices))
    affinity = random.lognormal(0.0, 0.35, (n_devices, 4))
    seconds = work / work.sum() * affinity[:, kinds] / speed[:, None]
    totals = np.concatenate([np.zeros((n_devices, 1)), np.cumsum(seconds, axis=1)], axis=1)
    stages = totals[:, None, :] - totals[:, :, None] + random.uniform(1e-4, 1e-3, (n_devices, 1, 1))
    stages[:, *np.tril_indices(n_positions + 1)] = np.inf
    depth = np.linspace(0.0, 1.0, n_positions + 1)
    boundaries = 3e6 * np.exp(-4.0 * depth) * random.lognormal(0.0, 0.5, n_positions + 1)
    boundaries[0], boundaries[-1] = 6e5, 4e3
    pairs = (n_devices + 1, n_devices + 1)
    return SearchProblem(
        device_names=tuple(f"device-{index}" for index in range(n_devices)),
        stage_seconds=stages,
        stage_memory_bytes=np.zeros_like(stages),
        device_memory_bytes=np.full(n_devices, np.inf),
        boundary_bytes=boundaries,
        link_fixed_seconds=random.uniform(2e-4, 5e-3, pairs),
        link_bytes_per_second=np.exp(random.uniform(np.log(1e7), np.log(1.25e8), pairs)),
        is_position_allowed=np.ones(n_positions + 1, dtype=np.bool_),
        max_stages=n_devices,
    )


if __name__ == "__main__":
    sys.exit(main())
