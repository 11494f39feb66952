"""The pipeline against its limits, and against four other ways to run the same split on the same cores.

- ours: throughput against 1 / busiest resource of the same run, latency of a lone request against the sum of its parts;
  on devices emulated 8 times slower, on two unpaced stages kept to two cores, and over a long link.
- pickle, rpc, pipelining, ray: ours beside each: the same network and weights, cut at the same place, one thread for
  operators in each process, both stages kept to the same two cores, the client free. Each runs with its best window of
  1, 2, 4 and 8, in turns with ours; a ratio is of neighbouring runs. All outputs are compared with the whole model's.
  Figures of `own_split` have the baseline cut where its halves are balanced, where that is another place.

Figures over another data plane than the default begin with its name. `--only` runs some parts, named as the figures
begin; with `--json` their figures take their places in the file.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks._figures import Figure, argument_parser, publish
from benchmarks._pipeline_contest import GRPC, Effort
from benchmarks._pipeline_duels import DUELS, fight, reason_to_skip
from benchmarks._pipeline_ours import emulated, far, pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the benchmark that can be run by itself, in about a minute."""

    name: str
    """With which the names of its figures begin."""
    run: Callable[[Effort], list[Figure]]
    effort: Effort
    baseline: str = ""
    """What it needs; empty for ours alone."""


PARTS = (
    Part(name="emulated", run=emulated, effort=Effort(seconds=2.0, n_rounds=5)),
    Part(name="pinned", run=pinned, effort=Effort(seconds=1.5, n_rounds=7)),
    Part(name="far", run=far, effort=Effort(seconds=4.0, n_rounds=3)),
    *(
        Part(
            name=duel.label,
            run=partial(fight, duel),
            effort=Effort(seconds=1.2, n_rounds=7) if duel.batch == 1 else Effort(seconds=2.0, n_rounds=5),
            baseline=duel.baseline,
        )
        for duel in DUELS
    ),
)
OURS = ("emulated", "pinned", "far")


def main() -> int:
    """Runs the parts and publishes their figures."""
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        default=[""],
        help=f"ours, or beginnings of {', '.join(part.name for part in PARTS)}",
    )
    parser.add_argument("--plane", default=GRPC, metavar="PLANE", help="our data plane (default: %(default)s)")
    arguments = parser.parse_args()
    wanted = [name for given in arguments.only for name in (OURS if given == "ours" else (given,))]
    parts = [part for part in PARTS if part.name.startswith(tuple(wanted))]
    if not parts:
        parser.error(f"no part begins with {' or '.join(wanted)}")
    earlier, notes = read_results(arguments.json)
    figures = {figure.name: figure for figure in earlier}
    for part in parts:
        began = Surroundings.now()
        effort = replace(part.effort, plane=arguments.plane)
        found = run_part(part, replace(effort, seconds=effort.seconds / 2, n_rounds=2) if arguments.quick else effort)
        figures |= {figure.name: figure for figure in found}
        if found:
            notes[effort.label(part.name)] = note(part, began)
    return publish(list(figures.values()), arguments.json, notes={"parts": notes})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Sums that tell what others did on this machine between two moments."""

    moment: float
    busy_seconds: float
    """Of all processors, whoever used them."""
    own_seconds: float
    """Of this process and of those of its children that have ended."""

    @classmethod
    def now(cls) -> "Surroundings":
        """As the sums stand."""
        times = psutil.cpu_times()
        own = os.times()
        return cls(
            moment=time.perf_counter(),
            busy_seconds=sum(times) - times.idle - times.iowait - times.guest - times.guest_nice,
            own_seconds=sum(own[:4]),
        )

    def others_since(self, earlier: "Surroundings") -> float:
        """Processors that others kept busy on average; near 0 on a machine of one's own."""
        busy = self.busy_seconds - earlier.busy_seconds - (self.own_seconds - earlier.own_seconds)
        return busy / (self.moment - earlier.moment)


def read_results(path: Path | None) -> tuple[list[Figure], dict[str, object]]:
    """Figures and notes that a file holds from earlier runs."""
    if path is None or not path.exists():
        return [], {}
    record = json.loads(path.read_text(encoding="utf-8"))
    figures = [Figure(**{**figure, "interval": tuple(figure["interval"])}) for figure in record["figures"]]
    return figures, dict(record.get("parts", {}))


def note(part: Part, began: Surroundings) -> dict[str, object]:
    """When a part was run, beside what, and with what."""
    packages = {"ray": ("ray",), "": ()}.get(part.baseline, ("torch",))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores_busy_for_others": round(Surroundings.now().others_since(began), 3),
        **{name: version(name) for name in packages},
    }


def run_part(part: Part, effort: Effort) -> list[Figure]:
    """Figures of a part; none, and why, where its baseline cannot be run."""
    reason = reason_to_skip(part.baseline) if part.baseline else None
    if reason is not None:
        print(f"{part.name}: skipped, {reason}", file=sys.stderr, flush=True)
        return []
    print(f"{part.name} ...", file=sys.stderr, flush=True)
    return part.run(effort)


if __name__ == "__main__":
    sys.exit(main())
