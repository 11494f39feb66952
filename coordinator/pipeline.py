"""The client of a live pipeline: requests in, results out, each exactly once."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import takewhile
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from coordinator.errors import MeasurementError
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.reception import uncoded
from node_agent.errors import FrameError, NodeError, NodeUnreachableError, StageFailedError
from node_agent.messages import ErrorFrame, Frame, StageTrace, TensorFrame

_RESIZE_SECONDS = 60.0


class FrameSink(Protocol):
    """Takes frames on their way to a node."""

    def send(self, frame: TensorFrame) -> None:
        """Hands a frame over; may block while the link is busy."""
        ...

    def close(self) -> None:
        """Ends the stream after what was sent."""
        ...

    @property
    def busy_seconds(self) -> float:
        """Time for which the link was busy so far."""
        ...


class FrameSource(Protocol):
    """Gives frames that come from a node."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come; ends when closed."""
        ...

    def close(self) -> None:
        """Ends the iteration."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one request."""

    request: int
    outputs: dict[str, np.ndarray]
    sent_at: float
    """`time.perf_counter()` of the client."""
    received_at: float
    trace: tuple[StageTrace, ...]

    @property
    def latency_seconds(self) -> float:
        """Round trip as the client saw it."""
        return self.received_at - self.sent_at


@dataclass(slots=True, kw_only=True)
class _Open:
    """A request without its result, or whose result waits for those before it."""

    sent_at: float
    future: "Future[Answer]"
    frame: TensorFrame | ErrorFrame | None = None
    """What came for it."""


class Pipeline:
    """Requests to a deployed plan. Thread-safe: requests may be submitted from several threads."""

    def __init__(
        self,
        *,
        deployment: str,
        epoch: int,
        sink: FrameSink,
        source: FrameSource,
        input_names: tuple[str, ...],
        window: int,
        is_ordered: bool = False,
        first_request: int = 0,
    ) -> None:
        """Begins to listen.

        Args:
            deployment: Name of it.
            epoch: Of it; frames of others are dropped.
            sink: Takes requests. Belongs to the pipeline from now on.
            source: Gives results. As it.
            input_names: What the first stage receives.
            window: Most requests in flight.
            is_ordered: Whether a result waits until all earlier requests have theirs; it keeps its place in the window
                meanwhile. To be asked for where replicas may overtake each other; elsewhere results come in order.
            first_request: Number of the first request: where another client sent some, one that it did not use.
        """
        self.failure = FailureLatch()
        """Set when the pipeline is broken or closed."""
        self._deployment = deployment
        self._epoch = epoch
        self._sink = sink
        self._source = source
        self._input_names = input_names
        self._is_ordered = is_ordered
        self._window = window
        self._credits = threading.Semaphore(window)
        self._lock = threading.Lock()
        self._pending: dict[int, _Open] = {}
        """In the order of requests."""
        self._next_request = first_request
        self._receiver = threading.Thread(target=self._receive, name=f"results-{deployment}", daemon=True)
        self._receiver.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def input_busy_seconds(self) -> float:
        """Time for which the link to the first stage was busy so far."""
        return self._sink.busy_seconds

    def resize(self, window: int) -> None:
        """Lets `window` requests be in flight from now on; waits until no more are. Called by one thread at a time.

        Raises:
            MeasurementError: Too many requests stayed without an answer.
        """
        for _ in range(window - self._window):
            self._credits.release()
            self._window += 1
        while self._window > window:
            self._take_credit(_RESIZE_SECONDS)
            self._window -= 1

    def _take_credit(self, timeout_seconds: float) -> None:
        if not self._credits.acquire(timeout=timeout_seconds):
            raise MeasurementError(
                f"Deployment {self._deployment} answered nothing for {timeout_seconds:.0f} s with its window full: "
                "look at the nodes' logs, or deploy again."
            )

    def submit(self, inputs: Mapping[str, np.ndarray], *, timeout_seconds: float = 60.0) -> "Future[Answer]":
        """Sends a request once the window has room; the future gets the answer or the error.

        Raises:
            NodeUnreachableError: The pipeline is broken.
            MeasurementError: The window had no room within the timeout.
        """
        self._take_credit(timeout_seconds)
        future: Future[Answer] = Future()
        with self._lock:
            if self.failure.error is not None:
                self._credits.release()
                self.failure.check()
            request = self._next_request
            self._next_request += 1
            self._pending[request] = _Open(sent_at=time.perf_counter(), future=future)
        frame = TensorFrame(
            deployment=self._deployment,
            epoch=self._epoch,
            request=request,
            stage=0,
            tensors=tuple((name, inputs[name]) for name in self._input_names),
        )
        try:
            self._sink.send(frame)
        except NodeError as error:
            self.fail(error)
        return future

    def infer(self, inputs: Mapping[str, np.ndarray], *, timeout_seconds: float = 60.0) -> Answer:
        """Sends one request and waits for its answer.

        Raises:
            StageFailedError: A stage failed on it.
            NodeUnreachableError: The pipeline broke before the answer came.
            MeasurementError: No answer within the timeout.
        """
        future = self.submit(inputs, timeout_seconds=timeout_seconds)
        try:
            return future.result(timeout=timeout_seconds)
        except TimeoutError as error:
            raise MeasurementError(
                f"Deployment {self._deployment} did not answer within {timeout_seconds:.0f} s: look at the nodes' logs."
            ) from error

    def close(self) -> None:
        """Ends both streams; requests without an answer end in an error."""
        self.fail(NodeUnreachableError(f"Deployment {self._deployment} was closed before the answer came."))
        for close in (self._sink.close, self._source.close):
            close()
        self._receiver.join(timeout=5)

    def _receive(self) -> None:
        try:
            for frame in self._source:
                if isinstance(frame, TensorFrame | ErrorFrame):
                    self._take(frame)
            self.fail(NodeUnreachableError(f"The results of deployment {self._deployment} ended."))
        except NodeError as error:
            self.fail(error)

    def _take(self, frame: TensorFrame | ErrorFrame) -> None:
        """Settles a request by what came for it; late and doubled frames are dropped."""
        if (frame.deployment, frame.epoch) != (self._deployment, self._epoch):
            return
        with self._lock:
            found = self._pending.get(frame.request)
            if found is None or found.frame is not None:
                return
            found.frame = frame
            settled = [self._pending.pop(request) for request in self._due(frame.request)]
        for one in settled:
            self._credits.release()
            _settle(one)

    def _due(self, request: int) -> list[int]:
        """Requests that may end now that `request` has its result."""
        if not self._is_ordered:
            return [request]
        return list(takewhile(lambda number: self._pending[number].frame is not None, self._pending))

    def fail(self, error: NodeError) -> None:
        """Ends every open request, and every later one, in this error; the first one said is kept.

        A request whose result has come, and waited for others, ends in that.
        """
        self.failure.set(error)
        with self._lock:
            pending, self._pending = self._pending, {}
        for one in pending.values():
            self._credits.release()
            if one.frame is None:
                one.future.set_exception(self.failure.error)
            else:
                _settle(one)


def _settle(request: _Open) -> None:
    """Ends a request in what came for it."""
    if isinstance(request.frame, ErrorFrame):
        request.future.set_exception(StageFailedError(request.frame.message))
    elif request.frame is not None:
        try:
            answer = _answer(request.frame, request.sent_at)
        except FrameError as error:
            request.future.set_exception(error)
        else:
            request.future.set_result(answer)


def _answer(frame: TensorFrame, sent_at: float) -> Answer:
    return Answer(
        request=frame.request,
        outputs=uncoded(frame),
        sent_at=sent_at,
        received_at=time.perf_counter(),
        trace=frame.trace,
    )
