"""Two ways to load a pipeline, as MLPerf names them: single stream and offline."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from coordinator.errors import OutputMismatchError
from coordinator.measurement import Estimate
from coordinator.output_gate import EXACT, OutputErrors, OutputGate
from coordinator.pipeline import Answer
from coordinator.statistics import rate_estimate, scaled
from node_agent.errors import StageFailedError
from node_agent.messages import StageTrace
from partitioner.onnx_io import Model
from partitioner.plan import Plan

N_DISTINCT_INPUTS = 4
MIN_REQUESTS = 10
ANSWER_SECONDS = 60.0
"""For which an answer is waited, beyond what it is predicted to take."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Inputs, and what the whole model makes of them."""

    inputs: tuple[Mapping[str, np.ndarray], ...]
    expected: tuple[Mapping[str, np.ndarray], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Times of one answered request; its outputs were compared and let go."""

    request: int
    sent_at: float
    received_at: float
    """Both by `time.perf_counter()` of the client."""
    trace: tuple[StageTrace, ...]

    @property
    def latency_seconds(self) -> float:
        """From sending to answer."""
        return self.received_at - self.sent_at

    @property
    def network_seconds(self) -> float:
        """Of the latency, what it was not inside a stage."""
        return self.latency_seconds - sum(trace.inside_seconds for trace in self.trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What came of a run."""

    records: tuple[Record, ...]
    """In the order of arrival."""
    n_errors: int
    errors: OutputErrors
    """Of all answers, the worst."""

    def steady(self, window: int, n_ways: int = 1) -> tuple[Record, ...]:
        """Those that came while the window was full; at least once round the ways, and one more, where there are.

        At both ends stages have less to do than in between, and those that share a core are faster then.
        """
        edge = min(window, max(len(self.records) - n_ways - 1, 0) // 2)
        return self.records[edge : len(self.records) - edge]

    def throughput_per_second(self, plan: Plan) -> Estimate:
        """Samples per second while the plan's window was full; of at least two answers."""
        steady = self.steady(plan.window, plan.n_ways)
        return scaled(rate_estimate([record.received_at for record in steady], plan.n_ways), plan.batch)


def make_workload(model: Model, *, seed: int, n_inputs: int = N_DISTINCT_INPUTS) -> Workload:
    """A few distinct inputs with the whole model's outputs, used in turn."""
    inputs, expected = zip(*(model.sample_answers(seed + index) for index in range(n_inputs)), strict=True)
    return Workload(inputs=inputs, expected=expected)


class Recorder:
    """Takes answers as they come, compares each with the whole model's, and keeps only times.

    Answers come from the pipeline's receiving thread, one at a time; one thread sends and waits.
    """

    def __init__(self, workload: Workload, gate: OutputGate) -> None:
        self._workload = workload
        self._gate = gate
        self._records: list[Record] = []
        self._n_errors = 0
        self._errors = OutputErrors()
        self._failure: BaseException | None = None
        self._n_open = 0
        self._taken = threading.Condition()

    def expect(self, future: "Future[Answer]", index: int) -> None:
        """Records what `future` brings for the workload's input number `index`."""
        with self._taken:
            self._n_open += 1
        future.add_done_callback(lambda done: self._close(done, index))

    def wait(self, timeout_seconds: float) -> None:
        """Until all that is expected was recorded: a future is done, for those who wait for it, before that."""
        with self._taken:
            self._taken.wait_for(lambda: not self._n_open, timeout_seconds)

    def _close(self, future: "Future[Answer]", index: int) -> None:
        try:
            self._take(future, index)
        finally:
            with self._taken:
                self._n_open -= 1
                self._taken.notify_all()

    def result(self) -> LoadResult:
        """What came so far.

        Raises:
            OutputMismatchError: An answer did not pass the gate.
            NodeError: The pipeline broke.
        """
        if self._failure is not None:
            raise self._failure
        return LoadResult(records=tuple(self._records), n_errors=self._n_errors, errors=self._errors)

    def _take(self, future: "Future[Answer]", index: int) -> None:
        error = future.exception()
        if isinstance(error, StageFailedError):
            self._n_errors += 1
        elif error is not None:
            self._failure = self._failure or error
        else:
            self._compare(future.result(), index)

    def _compare(self, answer: Answer, index: int) -> None:
        try:
            errors = self._gate.check(answer.outputs, self._workload.expected[index])
        except OutputMismatchError as error:
            self._failure = self._failure or error
            return
        self._errors = self._errors.worse(errors)
        self._records.append(
            Record(request=answer.request, sent_at=answer.sent_at, received_at=answer.received_at, trace=answer.trace)
        )


class TakesRequests(Protocol):
    """A pipeline, or a service that keeps one up."""

    def submit(self, inputs: Mapping[str, np.ndarray], *, timeout_seconds: float = 60.0) -> "Future[Answer]":
        """Takes a request once there is room, within the timeout; the future gets the answer or the error."""
        ...


def run_load(
    pipeline: TakesRequests,
    workload: Workload,
    *,
    is_single_stream: bool,
    n_requests: int,
    budget_seconds: float,
    on_done: Callable[[int], None],
    gate: OutputGate = EXACT,
    n_least: int = MIN_REQUESTS,
    answer_seconds: float = ANSWER_SECONDS,
) -> LoadResult:
    """Sends requests until there were enough or the budget is spent, and waits for the last answer.

    Args:
        pipeline: Where to.
        workload: What to send, in turn.
        is_single_stream: One request in flight (latency); otherwise the window is kept full (throughput).
        n_requests: At most.
        budget_seconds: For sending.
        on_done: Called with the number of requests sent.
        gate: What the answers are held against.
        n_least: So many are sent even when the budget is spent.
        answer_seconds: For which an answer is waited.

    Raises:
        OutputMismatchError: An answer did not pass the gate.
        NodeError: The pipeline broke.
    """
    recorder = Recorder(workload, gate)
    ends_at = time.perf_counter() + budget_seconds
    n_sent = 0
    while n_sent < n_requests and (n_sent < n_least or time.perf_counter() < ends_at):
        index = n_sent % len(workload.inputs)
        recorder.expect(pipeline.submit(workload.inputs[index], timeout_seconds=answer_seconds), index)
        n_sent += 1
        if is_single_stream:
            recorder.wait(answer_seconds)
        on_done(n_sent)
    recorder.wait(answer_seconds)
    return recorder.result()
