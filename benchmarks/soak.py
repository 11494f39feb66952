"""A pipeline at full window for minutes: no process grows, in memory, threads or open files, and no answer is wrong.

Two stages of a network on two local agents, in data plane and control as always. Each second the resident bytes, the
threads and the open files of both agents and of this process are read. The first fifth of the time is warm-up, and with
it the first renewal of the lease, which may take one more thread of an agent's pool. Of the rest the last quarter is
held against the first: medians of bytes, so that a moment's buffer counts for nothing, and the median of threads and
files against the most there were, since pools of threads breathe. `--minutes` says how long (10 where nothing is said,
1 with `--quick`), `--model` which network.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import psutil  # noqa: E402  the number of threads is read when numpy loads

from benchmarks._figures import Figure, argument_parser, at_least, at_most, publish  # noqa: E402
from coordinator.config import local_cluster  # noqa: E402
from coordinator.deployment import Deployment, deploy_plan  # noqa: E402
from coordinator.fleet import Fleet, connect_fleet  # noqa: E402
from coordinator.lease import RENEW_SECONDS  # noqa: E402
from coordinator.loadgen import Workload, make_workload  # noqa: E402
from coordinator.pipeline import Answer  # noqa: E402
from coordinator.planning import probe_links  # noqa: E402
from coordinator.profiling import profile_fleet  # noqa: E402
from node_agent.host.allocator import keep_for_messages  # noqa: E402
from partitioner.cost import CostModel  # noqa: E402
from partitioner.onnx_io import Model, load_model  # noqa: E402
from partitioner.plan import Candidate, Stage  # noqa: E402

MOST_GROWTH = 0.02
WARM_UP_SHARE = 0.2
CLIENT = "client"
POOL = "event_engine"
"""Name of the threads of gRPC's pool."""
MOST_POOL_GROWTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a process held at a moment."""

    resident_bytes: int
    n_threads: int
    """But for those of gRPC's own pool, which takes one more when all are busy and lets it go again."""
    n_pool_threads: int
    n_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What came of it."""

    readings: dict[str, tuple[Reading, ...]]
    """By process, one each second, warm-up left out."""
    n_answers: int
    n_wrong: int
    """Errors, and outputs that are not the whole model's."""


def main() -> int:
    """Soaks and publishes the figures."""
    parser = argument_parser(__doc__)
    parser.add_argument("--minutes", type=float, help="how long to load the pipeline")
    parser.add_argument("--model", default="mobilenet_v2", help="a zoo model, or a file")
    arguments = parser.parse_args()
    minutes = arguments.minutes or (1.0 if arguments.quick else 10.0)
    keep_for_messages()
    return publish(figures(soak(load_model(arguments.model), seconds=60 * minutes)), arguments.json)


def figures(found: Soak) -> list[Figure]:
    """Growth of each process, and whether all was answered rightly."""
    rows = []
    for process, readings in found.readings.items():
        name = process.replace("-", "_")
        growth = growth_of([reading.resident_bytes for reading in readings])
        least, most = (choose(reading.resident_bytes for reading in readings) for choose in (min, max))
        spread = (least / most - 1, most / least - 1)
        rows.append(at_most(f"soak_{name}_memory_growth", growth, spread, "of first", MOST_GROWTH))
        for what, most_more in (("n_threads", 0), ("n_pool_threads", MOST_POOL_GROWTH), ("n_files", 0)):
            counts = [getattr(reading, what) for reading in readings]
            first, last = quarters(counts)
            more = statistics.median(last) - max(first)
            span = (min(counts) - max(counts), max(counts) - min(counts))
            rows.append(at_most(f"soak_{name}_{what.removeprefix('n_')}_growth", more, span, "more", most_more))
    rows.append(at_most("soak_wrong_answers", found.n_wrong, (found.n_wrong,) * 2, "answers", 0))
    rows.append(at_least("soak_answers", found.n_answers, (found.n_answers,) * 2, "answers", 1))
    return rows


def growth_of(values: Sequence[float]) -> float:
    """Median of the last quarter over that of the first, less one."""
    first, last = quarters(values)
    return statistics.median(last) / statistics.median(first) - 1


def quarters(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The first and the last, of one value at least."""
    n = max(1, len(values) // 4)
    return values[:n], values[-n:]


def soak(model: Model, *, seconds: float) -> Soak:
    """Loads a pipeline of two stages for so long."""
    workload = make_workload(model, seed=0)
    with (
        tempfile.TemporaryDirectory(prefix="splitfront-") as folder,
        connect_fleet(local_cluster(2), run_dir=Path(folder)) as fleet,
        deploy_plan(fleet, model, halves(fleet, model)) as deployment,
    ):
        load = Load(deployment, workload)
        load.run(max(WARM_UP_SHARE * seconds, RENEW_SECONDS + 1))
        with reading(processes(fleet)) as readings:
            load.run((1 - WARM_UP_SHARE) * seconds)
    found = {name: tuple(one) for name, one in readings.items()}
    return Soak(readings=found, n_answers=load.n_answers, n_wrong=load.n_wrong)


def halves(fleet: Fleet, model: Model) -> Candidate:
    """A plan of two stages with half of the units each, under a profile of whole models."""
    n_units = model.graph.n_units
    profile = profile_fleet(
        fleet, model, {node.name: [(0, n_units)] for node in fleet.nodes}, n_rounds=3, budget_seconds=1
    )
    cost_model = CostModel(model.graph, probe_links(fleet, lambda *_: None), profile)
    first, second = (node.name for node in fleet.nodes)
    return cost_model.candidate(
        (Stage(device=first, start=0, stop=n_units // 2), Stage(device=second, start=n_units // 2, stop=n_units))
    )


class Load:
    """Keeps the window of a deployment full and lets answers go when they were compared."""

    def __init__(self, deployment: Deployment, workload: Workload) -> None:
        self._pipeline = deployment.pipeline
        self._gate = deployment.gate
        self._workload = workload
        self._n_sent = 0
        self.n_answers = 0
        self.n_wrong = 0

    def run(self, seconds: float) -> None:
        """Sends for so long, and waits for the last answer."""
        ends_at = time.monotonic() + seconds
        last = None
        while time.monotonic() < ends_at:
            index = self._n_sent % len(self._workload.inputs)
            last = self._pipeline.submit(self._workload.inputs[index])
            last.add_done_callback(self._taker(index))
            self._n_sent += 1
        if last is not None:
            last.exception(timeout=60)

    def _taker(self, index: int) -> "Callable[[Future[Answer]], None]":
        def take(future: "Future[Answer]") -> None:
            self.n_answers += 1
            try:
                self._gate.check(future.result().outputs, self._workload.expected[index])
            except Exception:  # noqa: BLE001 - whatever it is, it is wrong
                self.n_wrong += 1

        return take


def processes(fleet: Fleet) -> dict[str, psutil.Process]:
    """This process and the agents that it started, by name."""
    found = {CLIENT: psutil.Process()}
    for child in psutil.Process().children(recursive=True):
        words = child.cmdline()
        found |= {node.name: child for node in fleet.nodes if node.name in words}
    return found


def read_process(process: psutil.Process) -> Reading:
    """What it holds now."""
    tasks = Path(f"/proc/{process.pid}/task")
    names = []
    for task in tasks.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            names.append((task / "comm").read_text(encoding="utf-8").strip())
    n_pool = names.count(POOL)
    with process.oneshot():
        return Reading(
            resident_bytes=process.memory_info().rss,
            n_threads=len(names) - n_pool,
            n_pool_threads=n_pool,
            n_files=process.num_fds(),
        )


@contextmanager
def reading(watched: dict[str, psutil.Process], period_seconds: float = 1.0) -> Iterator[dict[str, list[Reading]]]:
    """Readings of all processes, taken in a thread meanwhile."""
    found: dict[str, list[Reading]] = {name: [] for name in watched}
    is_over = threading.Event()

    def read() -> None:
        while not is_over.wait(period_seconds):
            for name, process in watched.items():
                found[name].append(read_process(process))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
