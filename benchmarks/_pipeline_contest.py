"""How contestants are run beside each other: the same inputs, windows, checks and clock for all."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from benchmarks._figures import Figure, at_least, at_most
from coordinator.loadgen import Workload
from coordinator.output_gate import EXACT
from coordinator.statistics import quantile_estimate

WINDOWS = (1, 2, 4, 8)
MIN_REQUESTS = 5
GRPC = "grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long, how often, and over which of our data planes."""

    seconds: float
    """Of one run."""
    n_rounds: int
    plane: str = GRPC

    def label(self, name: str) -> str:
        """What the names of figures begin with: the default plane is not named."""
        return name if self.plane == GRPC else f"{self.plane}_{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run; every output was compared with the whole model's."""

    requests_per_second: float
    latency_seconds: float | None
    """Median from sending to the answer; None where nobody sees both."""


class Contestant(Protocol):
    """A pipeline with the split that all share, on the cores that all share."""

    name: str

    def run(self, window: int, seconds: float) -> Run:
        """Keeps `window` requests in flight for so long.

        Raises:
            OutputMismatchError: An output differs from the whole model's.
        """
        ...

    def at_rest(self) -> AbstractContextManager[None]:
        """While the other one runs: nothing may take processors from it."""
        return nullcontext()


def keep_in_flight(
    send: Callable[[Mapping[str, np.ndarray]], Any],
    receive: Callable[[Any], Mapping[str, np.ndarray]],
    workload: Workload,
    *,
    window: int,
    seconds: float,
) -> Run:
    """Runs a contestant that answers in the order in which it is asked.

    Args:
        send: Takes inputs and returns what `receive` wants to know of the request.
        receive: Waits for the outputs of a request.
        workload: What to send, in turn, and what to expect.
        window: Requests in flight.
        seconds: For sending. What is still in flight then is waited for and not counted.
    """
    n_inputs = len(workload.inputs)
    flying: deque[tuple[int, float, Any]] = deque()
    received: list[float] = []
    latencies: list[float] = []
    n_sent = 0
    ends_at = time.perf_counter() + seconds
    while n_sent < MIN_REQUESTS + window or time.perf_counter() < ends_at:
        while len(flying) < window:
            sent_at = time.perf_counter()
            flying.append((n_sent % n_inputs, sent_at, send(workload.inputs[n_sent % n_inputs])))
            n_sent += 1
        index, sent_at, request = flying.popleft()
        outputs = receive(request)
        received.append(time.perf_counter())
        latencies.append(received[-1] - sent_at)
        EXACT.check(outputs, workload.expected[index])
    for index, _, request in flying:
        EXACT.check(receive(request), workload.expected[index])
    return Run(requests_per_second=steady_rate(received, window), latency_seconds=statistics.median(latencies))


def steady_rate(moments: Sequence[float], window: int) -> float:
    """Completions per second, those left out with which the pipeline was filled."""
    steady = moments[min(window, len(moments) - 2) :]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def best_window(run: Callable[[int, float], Run], seconds: float) -> int:
    """The window with which most is done, each tried twice, so that a disturbed trial does not decide."""
    rates = dict.fromkeys(WINDOWS, 0.0)
    for window in (*WINDOWS, *reversed(WINDOWS)):
        rates[window] = max(rates[window], run(window, seconds).requests_per_second)
    return max(rates, key=rates.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What ours is to be of a baseline; None where nothing was promised."""

    throughput: float | None = None
    """Least ratio."""
    latency: float | None = None
    """Greatest ratio."""


def contest(
    label: str, ours: Contestant, baseline: Contestant, promise: Promise, effort: Effort, *, batch: int
) -> list[Figure]:
    """Runs both in turn, each with its best window, and one request at a time; ratios are of neighbouring runs."""
    pair, label, seconds = (ours, baseline), effort.label(label), effort.seconds
    rival_of = {ours.name: baseline, baseline.name: ours}

    def run(each: Contestant, window: int, seconds: float) -> Run:
        with rival_of[each.name].at_rest():
            return each.run(window, seconds)

    windows = {each.name: best_window(partial(run, each), seconds / 2) for each in pair}
    rates: dict[str, list[float]] = {each.name: [] for each in pair}
    latencies: dict[str, list[float]] = {each.name: [] for each in pair}
    for number in range(effort.n_rounds):
        turn = pair if number % 2 else pair[::-1]
        for each in turn:
            rates[each.name].append(batch * run(each, windows[each.name], seconds).requests_per_second)
        for each in turn:
            lone = run(each, 1, seconds / 2).latency_seconds
            latencies[each.name] += [] if lone is None else [lone]
    figures = [_ratio(f"{label}_throughput_ratio", rates, pair, promise.throughput, at_least)]
    if all(latencies.values()):
        figures.append(_ratio(f"{label}_latency_ratio", latencies, pair, promise.latency, at_most))
    for name, window in windows.items():
        figures.append(plain(f"{label}_{name}_throughput", rates[name], "samples/s"))
        figures.append(plain(f"{label}_{name}_window", [window], "requests"))
        figures += [plain(f"{label}_{name}_latency", latencies[name], "s")] if latencies[name] else []
    return figures


def _ratio(
    name: str,
    values: Mapping[str, Sequence[float]],
    pair: tuple[Contestant, Contestant],
    bound: float | None,
    judge: Callable[..., Figure],
) -> Figure:
    mine, others = (values[each.name] for each in pair)
    ratios = [own / other for own, other in zip(mine, others, strict=True)]
    return plain(name, ratios, "ratio") if bound is None else judge(name, *median(ratios), "ratio", bound)


def plain(name: str, values: Sequence[float], unit: str) -> Figure:
    """A figure of which nothing was promised."""
    value, interval = median(values)
    return Figure(name=name, value=value, interval=interval, unit=unit)


def median(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The median of repeats and its interval."""
    estimate = quantile_estimate(values, 0.5)
    return estimate.value, (estimate.low, estimate.high)
