"""Predicted sweeps: 1000 network conditions × 100 split points × 4 unlike devices, from a stored profile, on two cores.

A figure is the seconds from the cost model to the finished `PredictedSweep`: two processes started, the exact front of
every condition, every plan of any front judged under every condition, maps, regrets and covers. It does so for a grid
of delays and rates, and for links that differ at random, whose fronts have many more plans between them. Then again on
a Dask cluster of two local workers, whose start does not count: the result must be the same to the last bit.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._dask_cluster import dask_cluster
from benchmarks._figures import Figure, at_least, at_most, parse_arguments, publish
from benchmarks._sweep_model import chain_model, grid_conditions
from coordinator.sweep.predicted import PREDICTED_SWEEP, PredictedSweep
from coordinator.sweep.predicting import predict_sweep
from coordinator.sweep.workers import Workers, open_workers
from partitioner.cost import CostModel
from partitioner.search.robust.network import NetworkCondition, random_conditions
from partitioner.serialize import save_artefact

N_DEVICES, N_SPLIT_POINTS, N_WORKERS = 4, 100, 2
MOST_SECONDS = 60.0
DELAYS, RATES = (1e-4, 0.2), (1e5, 1.25e8)
"""Seconds and bytes per second, from end to end."""


def main() -> int:
    """Sweeps both kinds of conditions, both ways."""
    arguments = parse_arguments(__doc__)
    n_delays, n_rates, n_rounds = (10, 20, 1) if arguments.quick else (25, 40, 3)
    model = chain_model(N_DEVICES, N_SPLIT_POINTS + 1)
    kinds = {
        "grid": grid_conditions(
            model.cluster, np.geomspace(*DELAYS, n_delays).tolist(), np.geomspace(*RATES, n_rates).tolist()
        ),
        "random": random_conditions(model.cluster, n_delays * n_rates, seed=0),
    }
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, dask_cluster(N_WORKERS, Path(folder)) as scheduler:
        for kind, conditions in kinds.items():
            figures += sweep_figures(kind, model, conditions, scheduler, n_rounds=n_rounds, folder=Path(folder))
    return publish(figures, arguments.json)


def sweep_figures(
    kind: str,
    model: CostModel,
    conditions: Sequence[NetworkCondition],
    scheduler: str,
    *,
    n_rounds: int,
    folder: Path,
) -> list[Figure]:
    """Seconds here and on the cluster, in turn, whether both agree, and how much there is."""
    here, there, agree = [], [], []
    for _ in range(n_rounds):
        began = time.perf_counter()
        with open_workers(N_WORKERS) as processes:
            found = predict_sweep(model, conditions, workers=processes)
        here.append(time.perf_counter() - began)
        with open_workers(scheduler=scheduler) as cluster:
            seconds, other = timed(model, conditions, cluster)
        there.append(seconds)
        agree.append(found == other)
    name = f"sweep_{kind}_{len(conditions)}x{N_SPLIT_POINTS}x{N_DEVICES}"
    path = folder / f"{kind}.json"
    save_artefact(path, found, schema=PREDICTED_SWEEP, seed=0)
    points = [len(condition.plans) for condition in found.conditions]
    return [
        at_most(f"{name}_seconds", float(np.median(here)), (min(here), max(here)), "s", MOST_SECONDS),
        at_most(f"{name}_dask_seconds", float(np.median(there)), (min(there), max(there)), "s", MOST_SECONDS),
        at_least(f"{name}_dask_agrees", float(np.mean(agree)), (float(min(agree)), float(max(agree))), "share", 1.0),
        Figure(
            name=f"{name}_front_points", value=float(np.median(points)), interval=(min(points), max(points)), unit=""
        ),
        Figure(name=f"{name}_plans_judged", value=found.n_judged, interval=(found.n_judged, found.n_judged), unit=""),
        Figure(name=f"{name}_artefact", value=(size := path.stat().st_size / 1e6), interval=(size, size), unit="MB"),
    ]


def timed(model: CostModel, conditions: Sequence[NetworkCondition], workers: Workers) -> tuple[float, PredictedSweep]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    found = predict_sweep(model, conditions, workers=workers)
    return time.perf_counter() - began, found


if __name__ == "__main__":
    sys.exit(main())
