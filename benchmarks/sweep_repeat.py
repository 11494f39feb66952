"""The paper's sweep, shortened (`paper/short.yaml`), done twice: is it quick, and does it find the same again?

The second has another seed, and so another order and other inputs, on the testbed of the first: what an emulated device
is, its profile says, so that profile and bare links are taken over. The first begins from nothing; its seconds count.

Plans are compared under each condition: those that are on the front with probability 0.9 or more (Jaccard's index of
both sets), and whether the 95 % intervals overlap, of the latency and of the throughput of each plan. Where a link
whose rate was asked for was a plan's bottleneck, its throughput is held against what that rate lets through; the worst
plan of both sweeps is told.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._figures import Figure, argument_parser, at_least, at_most, publish
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.series import PlanPoint, SweepSeries
from coordinator.report.sweep.styles import SURE
from coordinator.results.store import open_store

FILE = Path(__file__).parent / "paper" / "short.yaml"
SEEDS = (1, 2)
MOST_SECONDS, LEAST_JACCARD, LEAST_OVERLAP, LEAST_OF_BOUND = 360.0, 0.8, 0.95, 0.95
Points = Mapping[tuple[str, str], PlanPoint]
"""By condition and plan."""


def main() -> int:
    """Sweeps twice and compares."""
    parser = argument_parser(__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep both sweeps below it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        done = []
        for seed in SEEDS:
            own = folder / f"seed-{seed}"
            if done:
                take_over(folder / f"seed-{SEEDS[0]}", own)
            done.append(swept(own, seed, is_quick=arguments.quick))
    seconds, found = [each for each, _ in done], [points_of(series) for _, series in done]
    said = [contractions(series) for _, series in done]
    return publish(
        [
            at_most("sweep_repeat_seconds", max(seconds), (min(seconds), max(seconds)), "s", MOST_SECONDS),
            front_figure(found[0], found[1]),
            overlap_figure(found[0], found[1]),
            bound_figure(found),
            Figure(
                name="sweep_repeat_contractions_said",
                value=min(said),
                interval=(min(said), max(said)),
                unit="conditions",
            ),
        ],
        arguments.json,
    )


def swept(folder: Path, seed: int, *, is_quick: bool) -> tuple[float, SweepSeries]:
    """Seconds of the whole command, and what its report is drawn from. No cache knows of earlier runs."""
    command = [sys.executable, "-m", "coordinator", "sweep", str(FILE), "--out", str(folder), "--seed", str(seed)]
    began = time.perf_counter()
    subprocess.run(
        [*command, *(["--quick"] if is_quick else [])],
        check=True,
        stdout=sys.stderr,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
    )
    seconds = time.perf_counter() - began
    with open_store(str(folder), is_made=False) as store:
        (name,) = store.sweeps()
        return seconds, read_sweep(store.sweep(name), store.runs(name, with_samples=True))


def take_over(first: Path, second: Path) -> None:
    """Gives a sweep that is to come the profiles and bare links of one that was."""
    shutil.copytree(first / "clusters", second / "clusters", ignore=shutil.ignore_patterns("nodes"))


def points_of(series: SweepSeries) -> Points:
    """All plans under all conditions."""
    return {(point.condition, point.plan): point for _, point in series.cases}


def front_figure(first: Points, second: Points) -> Figure:
    """Jaccard's index of the sure places on the fronts; the interval is that of single conditions."""

    def sure(points: Points, conditions: Sequence[str]) -> set[tuple[str, str]]:
        return {key for key, point in points.items() if key[0] in conditions and (point.front_probability or 0) >= SURE}

    conditions = list(dict.fromkeys(condition for condition, _ in first))
    each = [jaccard(sure(first, [one]), sure(second, [one])) for one in conditions]
    whole = jaccard(sure(first, conditions), sure(second, conditions))
    return at_least("sweep_repeat_front_jaccard", whole, (min(each), max(each)), "share", LEAST_JACCARD)


def jaccard(one: set[tuple[str, str]], two: set[tuple[str, str]]) -> float:
    """1 where both are equal."""
    return len(one & two) / len(one | two) if one | two else 1.0


def overlap_figure(first: Points, second: Points) -> Figure:
    """Share of the plans' intervals that overlap; those that a sweep lacks do not. Its interval: of single figures."""
    alike = [[overlaps(first[key], second.get(key), name) for key in first] for name in ("latency", "throughput")]
    shares = [sum(each) / len(each) for each in alike]
    value = sum(shares) / len(shares)
    return at_least("sweep_repeat_intervals_overlap", value, (min(shares), max(shares)), "share", LEAST_OVERLAP)


def overlaps(one: PlanPoint, two: PlanPoint | None, name: str) -> bool:
    """Whether the 95 % intervals of a figure have a point in common."""
    first, second = getattr(one, name), getattr(two, name, None)
    return first is not None and second is not None and first.low <= second.high and second.low <= first.high


def bound_figure(found: Sequence[Points]) -> Figure:
    """Throughput over what the rate of the link that was the bottleneck lets through: the worst plan."""
    shares = [
        point.bottleneck.best_share
        for points in found
        for point in points.values()
        if point.bottleneck is not None and point.bottleneck.best_share is not None
    ]
    worst = min(shares, default=0.0)
    return at_least("sweep_repeat_of_bytes_bound", worst, (worst, max(shares, default=0.0)), "share", LEAST_OF_BOUND)


def contractions(series: SweepSeries) -> int:
    """Conditions of which the report says that a link draws the front together."""
    found = [condition.contraction for setting in series.settings for condition in setting.conditions]
    return sum(one is not None and one.holds for one in found)


if __name__ == "__main__":
    sys.exit(main())
