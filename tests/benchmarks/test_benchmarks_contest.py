from collections import deque
from contextlib import contextmanager

import numpy as np
import pytest

from benchmarks._pipeline_contest import (
    Contestant,
    Effort,
    Promise,
    Run,
    best_window,
    contest,
    keep_in_flight,
    steady_rate,
)
from coordinator.errors import OutputMismatchError
from coordinator.loadgen import Workload

WORKLOAD = Workload(
    inputs=tuple({"x": np.full(3, value, np.float32)} for value in (1, 2)),
    expected=tuple({"y": np.full(3, 10 * value, np.float32)} for value in (1, 2)),
)


class Line:
    """Answers in order, ten times the input."""

    def __init__(self) -> None:
        self.flying: deque[np.ndarray] = deque()
        self.most = 0
        self.n_answered = 0

    def send(self, inputs):
        self.flying.append(inputs["x"])
        self.most = max(self.most, len(self.flying))

    def receive(self, _):
        self.n_answered += 1
        return {"y": 10 * self.flying.popleft()}


@pytest.mark.parametrize("window", [1, 4])
def test_the_window_is_filled_and_never_exceeded_and_every_request_is_answered(window: int) -> None:
    line = Line()
    run = keep_in_flight(line.send, line.receive, WORKLOAD, window=window, seconds=0)
    assert line.most == window
    assert not line.flying
    assert line.n_answered >= 5
    assert run.requests_per_second > 0


def test_a_contestant_that_answers_wrongly_is_found_out() -> None:
    line = Line()
    with pytest.raises(OutputMismatchError):
        keep_in_flight(line.send, lambda _: {"y": line.flying.popleft()}, WORKLOAD, window=2, seconds=0)


def test_the_rate_leaves_out_the_answers_with_which_the_pipeline_was_filled() -> None:
    assert steady_rate([5.0, 9.0, 9.5, 10.0, 10.5], window=1) == pytest.approx(2.0)


class Scripted(Contestant):
    """A contestant whose rate depends on its window alone."""

    def __init__(self, name: str, rates: dict[int, float], latency: float | None) -> None:
        self.name = name
        self._rates = rates
        self._latency = latency
        self.is_resting = False

    def run(self, window: int, seconds: float) -> Run:
        assert not self.is_resting
        return Run(requests_per_second=self._rates[window], latency_seconds=self._latency)


def test_each_contestant_runs_with_its_own_best_window() -> None:
    ours = Scripted("ours", {1: 1.0, 2: 2.0, 4: 6.0, 8: 5.0}, 0.2)
    other = Scripted("other", {1: 1.0, 2: 2.0, 4: 2.5, 8: 3.0}, 0.5)
    assert (best_window(ours.run, 0.0), best_window(other.run, 0.0)) == (4, 8)
    found = contest("a", ours, other, Promise(throughput=1.5, latency=0.45), Effort(seconds=0, n_rounds=3), batch=8)
    figures = {figure.name: figure for figure in found}
    assert (figures["a_throughput_ratio"].value, figures["a_throughput_ratio"].holds) == (2.0, True)
    assert (figures["a_latency_ratio"].value, figures["a_latency_ratio"].holds) == (0.4, True)
    assert (figures["a_ours_throughput"].value, figures["a_other_window"].value) == (48.0, 8)


def test_a_contestant_without_a_client_has_no_latency_to_compare() -> None:
    ours = Scripted("ours", dict.fromkeys((1, 2, 4, 8), 1.0), 0.2)
    other = Scripted("other", dict.fromkeys((1, 2, 4, 8), 1.0), None)
    names = [
        figure.name
        for figure in contest("a", ours, other, Promise(), Effort(seconds=0, n_rounds=2, plane="tcp"), batch=1)
    ]
    assert "tcp_a_latency_ratio" not in names
    assert "tcp_a_ours_latency" in names


class Polling(Scripted):
    """Takes processors unless it is at rest."""

    @contextmanager
    def at_rest(self):
        self.is_resting = True
        yield
        self.is_resting = False


def test_what_polls_while_it_waits_is_at_rest_while_the_other_one_runs() -> None:
    other = Polling("other", dict.fromkeys((1, 2, 4, 8), 1.0), 0.5)

    class Ours(Scripted):
        def run(self, window: int, seconds: float) -> Run:
            assert other.is_resting
            return super().run(window, seconds)

    ours = Ours("ours", dict.fromkeys((1, 2, 4, 8), 2.0), 0.2)
    contest("a", ours, other, Promise(), Effort(seconds=0, n_rounds=2), batch=1)
    assert not other.is_resting
