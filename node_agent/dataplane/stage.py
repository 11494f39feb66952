"""One stage at work: receiving, computing and sending overlap, with bounded queues between them."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.frame import encode, encode_timed
from node_agent.dataplane.pacing import wait_until
from node_agent.dataplane.queueing import BoundedQueue, QueueClosedError
from node_agent.errors import FrameError, NodeError, StageFailedError
from node_agent.messages import ErrorFrame, StageLoad, StageStatus, StageTrace, TensorFrame, TensorSpec

_JOIN_SECONDS = 5.0
_logger = logging.getLogger(__name__)

Tensors = Mapping[str, np.ndarray]


class Computation(Protocol):
    """What a stage does with its tensors."""

    def run(self, tensors: Tensors) -> Tensors:
        """Tensors that the stage makes of those that it received.

        Raises:
            StageFailedError: The runtime failed.
        """
        ...

    def close(self) -> None:
        """Ends a run in progress and frees what the computation holds."""
        ...


class Destination(Protocol):
    """Where a stage's frames go: the next node, or the client's outbox."""

    @property
    def busy_seconds(self) -> float:
        """For how long the way was busy."""
        ...

    @property
    def sent_bytes(self) -> int:
        """Bytes that were written."""
        ...

    def send_bytes(self, message: EncodedFrame) -> None:
        """Sends an encoded frame; waits while the way is busy.

        Raises:
            NodeError: The way is broken for good.
            QueueClosedError: It was closed on this side.
        """
        ...

    def close(self) -> None:
        """Ends the way."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A frame for a stage, and when it came."""

    frame: TensorFrame | ErrorFrame
    at: float
    """By `time.perf_counter`, decoded."""
    decode_seconds: float


@dataclass(slots=True)
class _Sums:
    n_frames: int = 0
    n_errors: int = 0
    compute_seconds: float = 0.0


class Stage:
    """A loaded stage with its two threads. `offer` may be called by several threads.

    A request on which the computation fails becomes an error frame, which travels to the client like a result; the
    stage goes on. When its destination is gone the stage fails for good: `failure` is set, and `offer` raises it.
    """

    def __init__(
        self, load: StageLoad, *, node: str, computation: Computation, destination: Destination, is_paced: bool
    ) -> None:
        """Starts the threads.

        Args:
            load: The order that the stage was made by.
            node: Name of this node, for messages.
            computation: Belongs to the stage from now on.
            destination: Belongs to the stage from now on.
            is_paced: Whether `load.pace_seconds` holds here.
        """
        self.load = load
        self.failure = FailureLatch()
        self.destination = destination
        self._label = f"Stage {load.stage} of {load.deployment!r} on node {node!r}"
        self._computation = computation
        self._pace_seconds = load.pace_seconds if is_paced else 0.0
        self._expected = {spec.name: spec for spec in load.receives}
        self._inbound: BoundedQueue[Arrival] = BoundedQueue(load.queue_limit)
        self._outbound: BoundedQueue[TensorFrame | ErrorFrame] = BoundedQueue(load.queue_limit)
        self._sums = _Sums()
        self._stopping = threading.Event()
        self._threads = [
            self._start(self._compute_next, "compute"),
            self._start(self._send_next, "send"),
        ]

    def _start(self, step: Callable[[], None], what: str) -> threading.Thread:
        name = f"{what} {self.load.deployment}/{self.load.stage}"
        thread = threading.Thread(target=self._repeat, args=(step,), name=name, daemon=True)
        thread.start()
        return thread

    def offer(self, arrival: Arrival) -> None:
        """Takes a frame in; waits while the queue is full.

        Raises:
            NodeError: What ended the stage; NodeUnreachableError names the node that is gone.
            QueueClosedError: The stage was unloaded.
        """
        self.failure.check()
        try:
            self._inbound.put(arrival)
        except QueueClosedError:
            self.failure.check()
            raise

    def status(self) -> StageStatus:
        """Running sums."""
        return StageStatus(
            deployment=self.load.deployment,
            epoch=self.load.epoch,
            stage=self.load.stage,
            n_frames=self._sums.n_frames,
            n_errors=self._sums.n_errors,
            compute_seconds=self._sums.compute_seconds,
            send_seconds=self.destination.busy_seconds,
            sent_bytes=self.destination.sent_bytes,
            n_queued=len(self._inbound),
        )

    def fail(self, error: NodeError) -> None:
        """Ends the work for good because of `error`; those who listen to `failure` hear of it."""
        if self._stopping.is_set() or not self.failure.set(error):
            return
        self._sums.n_errors += 1
        _logger.error("stage failed", extra={"stage": self._label, "error": str(error)})
        self._end_queues()

    def close(self) -> None:
        """Ends the work and frees what the stage holds. What is in the queues is dropped."""
        self._stopping.set()
        self._end_queues()
        self._computation.close()
        self.destination.close()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _end_queues(self) -> None:
        self._inbound.close()
        self._outbound.close()

    def _repeat(self, step: Callable[[], None]) -> None:
        """Main function of both threads."""
        try:
            while True:
                step()
        except QueueClosedError:
            return
        except NodeError as exc:
            self.fail(exc)
        except Exception as exc:
            _logger.exception("stage broke", extra={"stage": self._label})
            self.fail(StageFailedError(f"{self._label} broke unexpectedly ({exc!r}): see the node's log."))

    def _compute_next(self) -> None:
        arrival = self._inbound.get()
        started = time.perf_counter()
        frame = self._advance(arrival, started)
        self._sums.n_frames += 1
        self._sums.compute_seconds += time.perf_counter() - started
        self._outbound.put(frame)

    def _advance(self, arrival: Arrival, started: float) -> TensorFrame | ErrorFrame:
        """The frame that goes out for one that came in."""
        frame = arrival.frame
        if isinstance(frame, ErrorFrame):
            return _passed_on(frame)
        try:
            tensors = self._compute(frame)
        except NodeError as exc:
            self._sums.n_errors += 1
            return self._error_frame(frame, exc)
        wait_until(started + self._pace_seconds, self._stopping)
        trace = StageTrace(
            stage=self.load.stage,
            queue_seconds=started - arrival.at,
            decode_seconds=arrival.decode_seconds,
            compute_seconds=time.perf_counter() - started,
            encode_seconds=0.0,
        )
        return TensorFrame(
            deployment=frame.deployment,
            epoch=frame.epoch,
            request=frame.request,
            stage=frame.stage + 1,
            tensors=tensors,
            trace=(*frame.trace, trace),
        )

    def _compute(self, frame: TensorFrame) -> tuple[tuple[str, np.ndarray], ...]:
        received = dict(frame.tensors)
        self._check(received)
        made = self._computation.run(received)
        return tuple(
            (spec.name, made[spec.name] if spec.name in made else received[spec.name]) for spec in self.load.sends
        )

    def _check(self, received: Tensors) -> None:
        faults = [f"{name!r} is missing" for name in self._expected.keys() - received.keys()]
        for name, values in received.items():
            expected = self._expected.get(name)
            if expected is None:
                faults.append(f"{name!r} is not expected")
            elif not _fits(values, expected):
                faults.append(
                    f"{name!r} is {values.dtype} of shape {values.shape}, want {expected.dtype} of {expected.shape}"
                )
        if faults:
            raise FrameError("tensors do not fit: " + "; ".join(sorted(faults)))

    def _error_frame(self, frame: TensorFrame, error: NodeError) -> ErrorFrame:
        message = f"{self._label} failed on request {frame.request}: {error}"
        _logger.warning("request failed", extra={"stage": self._label, "request": frame.request, "error": str(error)})
        return ErrorFrame(
            deployment=frame.deployment,
            epoch=frame.epoch,
            request=frame.request,
            stage=frame.stage + 1,
            error=type(error).__name__,
            message=message,
            trace=frame.trace,
        )

    def _send_next(self) -> None:
        frame = self._outbound.get()
        self.destination.send_bytes(encode_timed(frame) if isinstance(frame, TensorFrame) else encode(frame))


def _passed_on(frame: ErrorFrame) -> ErrorFrame:
    return ErrorFrame(
        deployment=frame.deployment,
        epoch=frame.epoch,
        request=frame.request,
        stage=frame.stage + 1,
        error=frame.error,
        message=frame.message,
        trace=frame.trace,
    )


def _fits(values: np.ndarray, expected: TensorSpec) -> bool:
    """Whether element type and shape are as announced; a negative size stands for any."""
    if values.dtype.name != expected.dtype or values.ndim != len(expected.shape):
        return False
    return all(size == wanted or wanted < 0 for size, wanted in zip(values.shape, expected.shape, strict=True))
