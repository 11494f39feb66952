"""The demo's claims: throughput against the bottleneck bound of the same run, and against the best single device.

The demo's cluster is emulated (`coordinator/examples/demo.yaml`): the first figure says how well the stages overlap,
not how fast any machine is. Plans and baselines are measured in turn, several rounds.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks._figures import Figure, at_least, parse_arguments, publish
from coordinator.__main__ import run
from coordinator.benching import best_single
from coordinator.measurement import Estimate, Measurement, PlanMeasurement
from coordinator.run_folder import RunFolder
from partitioner.search.result import SearchResult

ROUNDS = 3


def main() -> int:
    """Runs the demo's steps once, the bench several times, and publishes the ratios."""
    arguments = parse_arguments(__doc__)
    seconds, rounds = (2.0, 1) if arguments.quick else (6.0, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        measurements = measure(Path(folder), seconds=seconds, rounds=rounds)
        n_points = len(RunFolder(Path(folder)).load("front", SearchResult).front)
    return publish(figures(measurements, n_points), arguments.json)


def measure(folder: Path, *, seconds: float, rounds: int) -> list[Measurement]:
    """Measurements of the demo's chosen plan, front and baselines, one for each round."""
    found = []
    for number in range(rounds):
        arguments = (
            ["demo", "--out", str(folder)]
            if number == 0
            else ["bench", "--run", str(folder), "--bench-seconds", str(seconds)]
        )
        if run(arguments):
            sys.exit(1)
        found.append(RunFolder(folder).load("measurement", Measurement))
    return found


def figures(measurements: list[Measurement], n_points: int) -> list[Figure]:
    """Ratios of all rounds; the interval spans the rounds' extremes, or the run's own where there is one round."""
    chosen = [bound_ratio(measurement) for measurement in measurements]
    speedups = [speedup(measurement) for measurement in measurements]
    errors = [
        abs(m.predicted.latency_seconds / m.latency_seconds.p50.value - 1) for m in measurements for m in plans(m)
    ]
    front_ratios = [bound_ratio(plan).value for m in measurements for plan in plans(m)]
    return [
        at_least("demo_throughput_to_bound", *_median(chosen), "ratio", 0.9),
        at_least("demo_speedup_to_best_single_device", *_median(speedups), "ratio", 1.5),
        at_least("demo_front_points", n_points, (n_points, n_points), "plans", 4),
        Figure(
            name="demo_front_throughput_to_bound_least",
            value=min(front_ratios),
            interval=(min(front_ratios), max(front_ratios)),
            unit="ratio",
        ),
        Figure(
            name="demo_latency_prediction_error",
            value=statistics.median(errors),
            interval=(min(errors), max(errors)),
            unit="ratio",
        ),
    ]


def plans(measurement: Measurement) -> list[PlanMeasurement]:
    """The chosen plan and the rest of the front."""
    return [measurement, *measurement.front]


def bound_ratio(measured: PlanMeasurement) -> Estimate:
    """Throughput over 1 / busiest resource, both of the same run."""
    bound = measured.bottleneck.bound_per_second
    rate = measured.throughput_per_second
    return Estimate(value=rate.value / bound, low=rate.low / bound, high=rate.high / bound)


def speedup(measurement: Measurement) -> Estimate:
    """Throughput of the plan with most of it over the best single device's, both of the same run."""
    best = max(plans(measurement), key=lambda plan: plan.throughput_per_second.value).throughput_per_second
    single = best_single(measurement.baselines)
    if single is None:
        sys.exit("No single device can hold the demo's model: the demo's cluster file is wrong.")
    rate = single.throughput_per_second
    return Estimate(value=best.value / rate.value, low=best.low / rate.high, high=best.high / rate.low)


def _median(estimates: list[Estimate]) -> tuple[float, tuple[float, float]]:
    return (
        statistics.median(estimate.value for estimate in estimates),
        (min(estimate.low for estimate in estimates), max(estimate.high for estimate in estimates)),
    )


if __name__ == "__main__":
    sys.exit(main())
