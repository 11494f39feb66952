"""Recovery: load on four nodes while a random one is killed, stopped or cut off every five seconds.

The nodes are agents on this machine behind proxies (`_faulty_nodes`), which emulate devices: every unit of a small
network takes 2 ms. What happens to a node is undone before the next fault: a killed agent is started again without its
stages, a stopped one goes on, one that is cut off is heard again. Every answer is compared with the whole model's.

Then plans are switched under the same load; the pause is the longest time without a result while that goes on.
"""

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks._faulty_nodes import FaultyNode, faulty_nodes
from benchmarks._figures import Figure, at_most, parse_arguments, publish
from benchmarks._made_up_plans import made_up_cost_model, plan_on, plans_of_three, write_network
from coordinator.config import parse_cluster
from coordinator.errors import CoordinatorError
from coordinator.fleet import connect_fleet
from coordinator.loadgen import Workload, make_workload
from coordinator.output_gate import EXACT
from coordinator.serving import events as kinds
from coordinator.serving.desk import Promise
from coordinator.serving.events import Event
from coordinator.serving.replanning import Replanner
from coordinator.serving.service import Service, serve_plan
from coordinator.statistics import quantile_estimate
from node_agent.errors import NodeError
from partitioner.onnx_io import load_model

NAMES = ("n0", "n1", "n2", "n3")
SECONDS, QUICK_SECONDS = 60.0, 20.0
PERIOD_SECONDS = 5.0
ILL_SECONDS = {"killed": 2.0, "stopped": 4.2, "cut off": 4.2}
"""Until a fault is undone: a frozen node is noticed after 3 to 4 s."""
N_SWITCHES, N_QUICK_SWITCHES = 8, 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and the plan that it met."""

    kind: str
    node: str
    at: float
    epoch: int
    is_in_plan: bool


@dataclass
class Load:
    """Keeps the window full from a thread of its own, and takes down what comes of each request."""

    service: Service
    workload: Workload
    results: list[tuple[float, int, int]] = field(default_factory=list)
    """(moment, request, epoch) of each right answer."""
    n_sent: int = 0
    n_wrong: int = 0
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._promises: list[Promise] = []
        self._thread = threading.Thread(target=self._send, name="load")
        self._thread.start()

    def _send(self) -> None:
        while not self._stop.is_set():
            index = self.n_sent % len(self.workload.inputs)
            try:
                promise = self.service.submit(self.workload.inputs[index], timeout_seconds=60)
            except (CoordinatorError, NodeError) as error:
                self.errors.append(f"not taken: {error}")
                return
            self.n_sent += 1
            promise.add_done_callback(lambda done, index=index: self._take(done, index))
            self._promises.append(promise)

    def _take(self, promise: Promise, index: int) -> None:
        now = time.perf_counter()
        error = promise.exception()
        if error is not None:
            self.errors.append(str(error))
            return
        answer = promise.result()
        try:
            EXACT.check(answer.outputs, self.workload.expected[index])
        except CoordinatorError:
            self.n_wrong += 1
            return
        self.results.append((now, answer.request, promise.line.epoch if promise.line else 0))

    def end(self) -> None:
        """Sends nothing more, and waits for the last answer."""
        self._stop.set()
        self._thread.join()
        wait(self._promises, timeout=90)

    @property
    def n_lost(self) -> int:
        """Requests without a right or wrong answer."""
        return self.n_sent - len(self.results) - self.n_wrong

    @property
    def n_doubled(self) -> int:
        """Answers to a request that had one."""
        return sum(count - 1 for count in Counter(request for _, request, _ in self.results).values())


def main() -> int:
    """Loads, strikes, switches, and publishes what came of it."""
    arguments = parse_arguments(__doc__)
    seconds, n_switches = (QUICK_SECONDS, N_QUICK_SWITCHES) if arguments.quick else (SECONDS, N_SWITCHES)
    seen: list[tuple[float, Event]] = []

    def see(event: Event) -> None:
        seen.append((time.perf_counter(), event))
        sys.stderr.write(event.describe() + "\n")

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model = load_model(str(write_network(folder / "network.onnx")))
        nodes = stack.enter_context(faulty_nodes(folder, NAMES, ("--slowdown", "1")))
        described = [{"name": name, "address": node.address} for name, node in nodes.items()]
        fleet = stack.enter_context(
            connect_fleet(parse_cluster({"name": "faulty", "nodes": described}), run_dir=folder)
        )
        cost_model = made_up_cost_model(model, NAMES)
        front = (*plans_of_three(cost_model, NAMES), *(plan_on(cost_model, name) for name in NAMES))
        replanner = Replanner(front, wish="throughput")
        workload = make_workload(model, seed=1)
        service = stack.enter_context(serve_plan(fleet, model, front[0], replanner, on_event=see))
        load = Load(service, workload)
        faults = strike(service, nodes, seconds)
        load.end()
        pauses = switch_plans(service, Load(service, workload), front[:2], n_switches)
    for error in load.errors:
        sys.stderr.write(f"lost: {error}\n")
    return publish(figures(load, faults, seen, pauses), arguments.json)


def strike(service: Service, nodes: dict[str, FaultyNode], seconds: float) -> list[Fault]:
    """A fault each period, of a kind and on a node that are drawn; each is undone before the next."""
    draw = random.Random(2)
    actions: dict[str, tuple[Callable[[FaultyNode], None], Callable[[FaultyNode], None]]] = {
        "killed": (FaultyNode.kill, FaultyNode.start),
        "stopped": (FaultyNode.freeze, FaultyNode.thaw),
        "cut off": (FaultyNode.cut, FaultyNode.mend),
    }
    kinds_in_turn = [kind for _ in range(int(seconds / PERIOD_SECONDS)) for kind in draw.sample(list(actions), 3)]
    began, faults = time.perf_counter(), []
    for number in range(int(seconds / PERIOD_SECONDS)):
        time.sleep(max(0.0, began + number * PERIOD_SECONDS + 0.5 - time.perf_counter()))
        kind, name = kinds_in_turn[number], draw.choice(sorted(nodes))
        candidate = service.candidate
        in_plan = candidate is not None and name in {stage.device for stage in candidate.plan.stages}
        act, undo = actions[kind]
        faults.append(Fault(kind=kind, node=name, at=time.perf_counter(), epoch=service.epoch, is_in_plan=in_plan))
        act(nodes[name])
        time.sleep(ILL_SECONDS[kind])
        undo(nodes[name])
    return faults


def switch_plans(service: Service, load: Load, plans: Sequence, n_switches: int) -> list[float]:
    """Longest time without a result around each switch from one plan to another and back."""
    spans = []
    for number in range(n_switches):
        time.sleep(0.5)
        began = time.perf_counter()
        running = service.candidate
        others = [plan for plan in plans if running is None or plan.plan.stages != running.plan.stages]
        service.switch(others[number % len(others)]).result(60)
        spans.append((began, time.perf_counter()))
    time.sleep(0.5)
    load.end()
    moments = [moment for moment, _, _ in load.results]
    return [longest_pause(moments, began, ended + 0.3) for began, ended in spans]


def longest_pause(moments: Sequence[float], began: float, ended: float) -> float:
    """Longest time between two results of which at least one came in between."""
    inside = [moment for moment in moments if began - 0.1 <= moment <= ended]
    return max(late - early for early, late in pairwise(inside))


def figures(
    load: Load, faults: Sequence[Fault], seen: Sequence[tuple[float, Event]], pauses: Sequence[float]
) -> list[Figure]:
    """What was lost, and how long everything took."""
    noticed = {fault: moment for fault in faults if (moment := noticed_at(fault, seen)) is not None}
    detection: dict[str, list[float]] = {kind: [] for kind in ILL_SECONDS}
    for fault, moment in noticed.items():
        detection[fault.kind].append(moment - fault.at)
    first_results = {
        fault: moment
        for fault in faults
        if fault.is_in_plan and (moment := first_result_at(fault, load.results)) is not None
    }
    recoveries = [first_results[fault] - noticed[fault] for fault in first_results if fault in noticed]
    outages = [first_results[fault] - fault.at for fault in first_results]
    n_hits = sum(fault.is_in_plan for fault in faults)
    return [
        _count("recovery_requests", load.n_sent, "requests"),
        _count("recovery_faults", len(faults), "faults"),
        _count("recovery_faults_of_the_plan", n_hits, "faults"),
        _none("recovery_requests_lost", load.n_lost),
        _none("recovery_requests_doubled", load.n_doubled),
        _none("recovery_answers_wrong", load.n_wrong),
        _none("recovery_faults_not_overcome", n_hits - len(first_results)),
        *(
            at_most(
                f"recovery_noticed_{kind.replace(' ', '_')}_seconds_most",
                max(times),
                (min(times), max(times)),
                "s",
                bound,
            )
            for kind, bound in (("killed", 1.0), ("stopped", 5.0), ("cut off", 5.0))
            if (times := detection[kind])
        ),
        at_most("recovery_first_result_after_notice_seconds", *_median(recoveries), "s", 3.0),
        Figure(
            name="recovery_first_result_after_notice_seconds_most",
            value=max(recoveries),
            interval=(min(recoveries), max(recoveries)),
            unit="s",
        ),
        _plain("recovery_outage_seconds", outages),
        at_most("switch_pause_seconds_most", max(pauses), (min(pauses), max(pauses)), "s", 1.0),
        _plain("switch_pause_seconds", list(pauses)),
    ]


def noticed_at(fault: Fault, seen: Sequence[tuple[float, Event]]) -> float | None:
    """When the node was said to be lost."""
    said = [
        moment
        for moment, event in seen
        if event.kind == kinds.NODE_LOST and event.node == fault.node and moment >= fault.at
    ]
    return said[0] if said and said[0] < fault.at + PERIOD_SECONDS else None


def first_result_at(fault: Fault, results: Sequence[tuple[float, int, int]]) -> float | None:
    """When the first answer of a later plan came."""
    return min((moment for moment, _, epoch in results if epoch > fault.epoch and moment > fault.at), default=None)


def _count(name: str, value: int, unit: str) -> Figure:
    return Figure(name=name, value=value, interval=(value, value), unit=unit)


def _none(name: str, value: int) -> Figure:
    return at_most(name, value, (value, value), "requests" if "fault" not in name else "faults", 0)


def _median(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    estimate = quantile_estimate(values, 0.5)
    return estimate.value, (estimate.low, estimate.high)


def _plain(name: str, values: Sequence[float]) -> Figure:
    value, interval = _median(values)
    return Figure(name=name, value=value, interval=interval, unit="s")


if __name__ == "__main__":
    sys.exit(main())
