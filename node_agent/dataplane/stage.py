"""One stage at work: receiving, computing and sending overlap, with bounded queues between them."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from node_agent.dataplane.departure import Departure, Destination
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.limits import MAX_ERROR_CHARACTERS, shortened
from node_agent.dataplane.pacing import EmulatedDevice
from node_agent.dataplane.queueing import BoundedQueue, QueueClosedError
from node_agent.dataplane.reception import receive
from node_agent.errors import NodeError, StageFailedError
from node_agent.messages import CodingPace, ErrorFrame, StageLoad, StageStatus, StageTrace, TensorFrame

_JOIN_SECONDS = 5.0
_UNPACED = CodingPace(decode_seconds=0.0, encode_seconds=0.0)
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


@dataclass(slots=True)
class Arrival:
    """A frame for a stage, and how long it took to decode. One is made for each message: not frozen, like frames."""

    frame: TensorFrame | ErrorFrame
    decode_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """An arrival that waits for its turn."""

    frame: TensorFrame
    tensors: Tensors | NodeError
    """Decoded, or why they cannot be computed with."""
    at: float
    decode_seconds: float


@dataclass(slots=True)
class _Sums:
    n_frames: int = 0
    n_errors: int = 0
    compute_seconds: float = 0.0


class Stage:
    """A loaded stage with its threads: one computes, one codes where a codec is used, one sends to each destination.

    `offer` may be called by several threads, which decode. On an emulated device decoding, computing and encoding take
    turns, as its model says.

    A request on which the computation fails becomes an error frame, which travels to the client like a result; the
    stage goes on. When its destination is gone the stage fails for good: `failure` is set, and `offer` raises it.
    """

    def __init__(
        self,
        load: StageLoad,
        *,
        node: str,
        computation: Computation,
        destination: Destination,
        is_paced: bool,
        further: Sequence[Destination] = (),
    ) -> None:
        """Starts the threads.

        Args:
            load: The order that the stage was made by.
            node: Name of this node, for messages.
            computation: Belongs to the stage from now on.
            destination: Where the frames go. Belongs to the stage from now on.
            is_paced: Whether the paces of `load` hold here.
            further: Where frames go in turn with `destination`, request r to number r modulo all. As it.
        """
        self.load = load
        self.failure = FailureLatch()
        self.destination = destination
        self._label = f"Stage {load.stage} of {load.deployment!r} on node {node!r}"
        self._computation = computation
        self._stopping = threading.Event()
        self._device = EmulatedDevice(self._stopping)
        self._pace_seconds = load.pace_seconds if is_paced else 0.0
        coding_pace = load.coding_pace if is_paced and load.coding_pace else _UNPACED
        self._decode_seconds = coding_pace.decode_seconds
        self._expected = {spec.name: spec for spec in load.receives}
        self._inbound: BoundedQueue[_Request | ErrorFrame] = BoundedQueue(load.queue_limit)
        self._departure = Departure((destination, *further), load, self._device, coding_pace.encode_seconds)
        self._sums = _Sums()
        steps = [("compute", self._compute_next), *self._departure.steps()]
        self._threads = [self._start(step, what) for what, step in steps]

    def _start(self, step: Callable[[], None], what: str) -> threading.Thread:
        name = f"{what} {self.load.deployment}/{self.load.stage}"
        thread = threading.Thread(target=self._repeat, args=(step,), name=name, daemon=True)
        thread.start()
        return thread

    def offer(self, arrival: Arrival) -> None:
        """Takes a frame in, decoding it; waits while the queue is full.

        Raises:
            NodeError: What ended the stage; NodeUnreachableError names the node that is gone.
            QueueClosedError: The stage was unloaded.
        """
        self.failure.check()
        frame = arrival.frame
        received = frame if isinstance(frame, ErrorFrame) else self._receive(frame, arrival)
        try:
            self._inbound.put(received)
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
            send_seconds=self._departure.busy_seconds,
            sent_bytes=self._departure.sent_bytes,
            n_queued=len(self._inbound),
            shard_sha256=self.load.shard.graph.sha256,
            failure=str(self.failure.error or ""),
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
        self._departure.close()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _end_queues(self) -> None:
        self._inbound.close()
        self._departure.end()

    def _repeat(self, step: Callable[[], None]) -> None:
        """Main function of all threads."""
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

    def _receive(self, frame: TensorFrame, arrival: Arrival) -> _Request:
        tensors: Tensors | NodeError
        with self._device.work(self._decode_seconds) as began:
            try:
                tensors = receive(frame, self._expected)
            except NodeError as exc:
                tensors = exc
        now = time.perf_counter()
        decode_seconds = arrival.decode_seconds + (now - began)
        return _Request(frame=frame, tensors=tensors, at=now, decode_seconds=decode_seconds)

    def _compute_next(self) -> None:
        received = self._inbound.get()
        frame = _passed_on(received) if isinstance(received, ErrorFrame) else self._advance(received)
        self._sums.n_frames += 1
        self._departure.put(frame)

    def _advance(self, request: _Request) -> TensorFrame | ErrorFrame:
        """The frame that goes out for one that came in."""
        frame = request.frame
        try:
            with self._device.work(self._pace_seconds) as began:
                tensors = self._compute(request.tensors)
        except NodeError as exc:
            self._sums.n_errors += 1
            return self._error_frame(frame, exc)
        seconds = time.perf_counter() - began
        self._sums.compute_seconds += seconds
        trace = StageTrace(
            stage=self.load.stage,
            queue_seconds=began - request.at,
            decode_seconds=request.decode_seconds,
            compute_seconds=seconds,
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

    def _compute(self, received: Tensors | NodeError) -> tuple[tuple[str, np.ndarray], ...]:
        if isinstance(received, NodeError):
            raise received
        made = self._computation.run(received)
        return tuple(
            (spec.name, made[spec.name] if spec.name in made else received[spec.name]) for spec in self.load.sends
        )

    def _error_frame(self, frame: TensorFrame, error: NodeError) -> ErrorFrame:
        why = shortened(str(error), MAX_ERROR_CHARACTERS)
        message = f"{self._label} failed on request {frame.request}: {why}"
        _logger.warning("request failed", extra={"stage": self._label, "request": frame.request, "error": why})
        return ErrorFrame(
            deployment=frame.deployment,
            epoch=frame.epoch,
            request=frame.request,
            stage=frame.stage + 1,
            error=type(error).__name__,
            message=message,
            trace=frame.trace,
        )


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
