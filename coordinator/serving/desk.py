"""Where requests come in and answers go out, each exactly once, whichever line serves.

Who submits waits for room, the line's thread takes what the ledger says is due, the pipeline's thread brings what came.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np

from coordinator.errors import MeasurementError, RequestLostError, ServiceEndedError
from coordinator.pipeline import Answer
from coordinator.serving.events import REQUEST_FAILED, EventLog
from coordinator.serving.ledger import MAX_ATTEMPTS, Ledger
from coordinator.serving.line import Line
from node_agent.errors import RequestRejectedError
from partitioner.tensors import TensorSpec

Inputs = Mapping[str, np.ndarray]


class Promise(Future[Answer]):
    """What a request will bring."""

    line: Line | None = None
    """That brought it."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """A request that has not ended."""

    inputs: Inputs
    promise: Promise
    sent_at: float
    attempt_at: float = 0.0
    """When its attempt began."""


class Desk:
    """Takes requests, hands out answers. Thread-safe."""

    def __init__(
        self,
        *,
        name: str,
        inputs: Iterable[TensorSpec],
        events: EventLog,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Begins without a line: what is submitted waits.

        Args:
            name: Of the deployment, for messages.
            inputs: What a request must bring.
            events: Takes failures of requests.
            clock: Seconds, never going back; that of `Answer`.
        """
        self._name = name
        self._specs = tuple(inputs)
        self._events = events
        self._clock = clock
        self._changed = threading.Condition()
        self._ledger = Ledger()
        self._open: dict[int, _Open] = {}
        self._window = 1
        self._line: Line | None = None
        self._end: ServiceEndedError | None = None

    @property
    def line(self) -> Line | None:
        """That takes requests now."""
        with self._changed:
            return self._line

    @property
    def n_dropped(self) -> int:
        """Answers that came late or twice, and were dropped."""
        with self._changed:
            return self._ledger.n_dropped

    @property
    def n_open(self) -> int:
        """Requests that have not ended."""
        with self._changed:
            return self._ledger.n_open

    def submit(self, inputs: Inputs, *, timeout_seconds: float = 60.0) -> Promise:
        """Takes a request once the window has room; the future gets the answer or the error.

        Raises:
            RequestRejectedError: An input is missing, or is none of the model: it would break the line for all others.
            ServiceEndedError: The service was closed, or gave up.
            MeasurementError: The window had no room within the timeout.
        """
        self._check(inputs)
        with self._changed:
            self._changed.wait_for(lambda: self._end is not None or self._has_room(), timeout_seconds)
            if self._end is not None:
                raise ServiceEndedError(*self._end.args)
            if not self._has_room():
                raise MeasurementError(
                    f"Deployment {self._name} answered nothing for {timeout_seconds:.0f} s with its window full: "
                    "look at its events and at the nodes' logs."
                )
            promise = Promise()
            promise.set_running_or_notify_cancel()  # from now on it ends by us alone
            request = self._ledger.accept()
            self._open[request] = _Open(inputs=inputs, promise=promise, sent_at=self._clock())
            self._changed.notify_all()
        return promise

    def _has_room(self) -> bool:
        return self._ledger.n_open < self._window

    def _check(self, inputs: Inputs) -> None:
        faults = [f"input {spec.name!r} is missing" for spec in self._specs if spec.name not in inputs]
        faults += [
            f"input {spec.name!r} is {given.dtype.name} of shape {given.shape}, "
            f"the model takes {spec.dtype} of {spec.shape}"
            for spec in self._specs
            if (given := inputs.get(spec.name)) is not None
            and (given.dtype.name, given.shape) != (spec.dtype, spec.shape)
        ]
        if faults:
            raise RequestRejectedError(f"A request to {self._name} is rejected: " + "; ".join(faults) + ".")

    def begin(self, line: Line) -> None:
        """Sends what waits, and what comes, to this line. What is in flight elsewhere may still be answered there."""
        with self._changed:
            self._line = line
            self._window = line.candidate.plan.window
            self._ledger.begin_epoch(line.epoch)
            self._changed.notify_all()
        line.begin(self._next_request, self._on_done)

    def hold(self) -> None:
        """Sends nothing more until the next line begins. What is in flight may still be answered."""
        with self._changed:
            self._ledger.hold()

    def _next_request(self, epoch: int) -> tuple[int, Inputs] | None:
        with self._changed:
            while self._end is None and self._line is not None and self._line.epoch == epoch:
                request = self._ledger.next_to_send(epoch)
                if request is not None:
                    self._open[request].attempt_at = self._clock()
                    return request, self._open[request].inputs
                self._changed.wait()
            return None

    def _on_done(self, line: Line, request: int, done: "Future[Answer]") -> None:
        """An attempt has ended. A line that broke is the supervisor's business: its requests are not over yet."""
        error = done.exception()
        if error is not None and error is line.pipeline.failure.error:
            return
        with self._changed:
            entry = self._open.pop(request) if self._ledger.end(line.epoch, request) else None
            line.last_answer_at = self._clock()
            self._changed.notify_all()
        if entry is None:
            return
        entry.promise.line = line
        if error is not None:
            self._events.tell(REQUEST_FAILED, cause=str(error), epoch=line.epoch)
            entry.promise.set_exception(error)
        else:
            entry.promise.set_result(replace(done.result(), request=request, sent_at=entry.sent_at))

    def in_flight(self, epoch: int) -> int:
        """Requests that may still be answered in an epoch."""
        with self._changed:
            return len(self._ledger.in_flight(epoch))

    def oldest_attempt_at(self, epoch: int) -> float | None:
        """When the oldest attempt of an epoch began; None without one."""
        with self._changed:
            return min((self._open[request].attempt_at for request in self._ledger.in_flight(epoch)), default=None)

    def lose(self, line: Line, why: str, *, is_blamed: bool = True) -> None:
        """Nothing more comes from a line: its requests wait again, and those that were tried too often end."""
        with self._changed:
            if self._line is line:
                self._line = None
            ended = [self._open.pop(request) for request in self._ledger.lose(line.epoch, is_blamed=is_blamed)]
            self._changed.notify_all()
        for entry in ended:
            error = RequestLostError(
                f"A request to {self._name} was in flight {MAX_ATTEMPTS} times when nodes were lost, the last time by "
                f"{why}: it is not tried again, since it may be the reason."
            )
            self._events.tell(REQUEST_FAILED, cause=str(error), epoch=line.epoch)
            entry.promise.set_exception(error)
        line.close()

    def end(self, why: str) -> None:
        """Answers nothing more: every open request, and every later one, ends in an error that says why."""
        error = ServiceEndedError(f"Deployment {self._name} answers no more: {why}")
        with self._changed:
            self._end = self._end or error
            line, self._line = self._line, None
            entries = [self._open.pop(request) for request in self._ledger.end_all()]
            self._changed.notify_all()
        for entry in entries:
            entry.promise.set_exception(ServiceEndedError(*error.args))
        if line is not None:
            line.close()
