"""How contestants are run beside each other: the same inputs, windows, checks and clock for all."""

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks._figures import Figure, at_least, at_most
from coordinator.deployment import check_outputs
from coordinator.loadgen import Workload
from coordinator.statistics import quantile_estimate

WINDOWS = (1, 2, 4, 8)
MIN_REQUESTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run; every output was compared with the whole model's."""

    requests_per_second: float
    latency_seconds: float
    """Median from sending to the answer."""


class Contestant(Protocol):
    """A pipeline with the split that all share, on the cores that all share."""

    name: str

    def run(self, window: int, seconds: float) -> Run:
        """Keeps `window` requests in flight for so long.

        Raises:
            OutputMismatchError: An output differs from the whole model's.
        """
        ...


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
        check_outputs(outputs, workload.expected[index])
    for index, _, request in flying:
        check_outputs(receive(request), workload.expected[index])
    return Run(requests_per_second=steady_rate(received, window), latency_seconds=statistics.median(latencies))


def steady_rate(moments: Sequence[float], window: int) -> float:
    """Completions per second, those left out with which the pipeline was filled."""
    steady = moments[min(window, len(moments) - 2) :]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def best_window(contestant: Contestant, seconds: float) -> int:
    """The window with which most is done, each tried twice, so that a disturbed trial does not decide."""
    rates = {window: 0.0 for window in WINDOWS}
    for window in (*WINDOWS, *reversed(WINDOWS)):
        rates[window] = max(rates[window], contestant.run(window, seconds).requests_per_second)
    return max(rates, key=rates.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What ours is to be of a baseline; None where nothing was promised."""

    throughput: float | None = None
    """Least ratio."""
    latency: float | None = None
    """Greatest ratio."""


def contest(
    label: str, ours: Contestant, baseline: Contestant, promise: Promise, *, batch: int, seconds: float, n_rounds: int
) -> list[Figure]:
    """Runs both in turn, each with its best window, and one request at a time; ratios are of neighbouring runs."""
    pair = (ours, baseline)
    windows = {each.name: best_window(each, seconds / 2) for each in pair}
    fast: dict[str, list[float]] = {each.name: [] for each in pair}
    lone: dict[str, list[float]] = {each.name: [] for each in pair}
    for number in range(n_rounds):
        for each in pair if number % 2 else pair[::-1]:
            fast[each.name].append(batch * each.run(windows[each.name], seconds).requests_per_second)
        for each in pair if number % 2 else pair[::-1]:
            lone[each.name].append(each.run(1, seconds / 2).latency_seconds)
    return [
        _ratio(f"{label}_throughput_ratio", fast[ours.name], fast[baseline.name], promise.throughput, at_least),
        _ratio(f"{label}_latency_ratio", lone[ours.name], lone[baseline.name], promise.latency, at_most),
        *(_plain(f"{label}_{each.name}_throughput", fast[each.name], "samples/s") for each in pair),
        *(_plain(f"{label}_{each.name}_latency", lone[each.name], "s") for each in pair),
        *(_plain(f"{label}_{each.name}_window", [windows[each.name]], "requests") for each in pair),
    ]


def _ratio(
    name: str, ours: Sequence[float], theirs: Sequence[float], bound: float | None, judge: Callable[..., Figure]
) -> Figure:
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    if bound is None:
        return _plain(name, ratios, "ratio")
    estimate = quantile_estimate(ratios, 0.5)
    return judge(name, estimate.value, (estimate.low, estimate.high), "ratio", bound)


def _plain(name: str, values: Sequence[float], unit: str) -> Figure:
    estimate = quantile_estimate(values, 0.5)
    return Figure(name=name, value=estimate.value, interval=(estimate.low, estimate.high), unit=unit)
