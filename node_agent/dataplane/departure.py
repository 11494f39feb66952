"""The way out of a stage: frames are coded where a codec is used, written, and sent to where their turn is."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.encoder import encode_timed
from node_agent.dataplane.frame import encode, with_codec
from node_agent.dataplane.pacing import EmulatedDevice
from node_agent.dataplane.queueing import BoundedQueue
from node_agent.messages import ErrorFrame, StageLoad, TensorFrame


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


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A frame on its way out."""

    frame: TensorFrame | ErrorFrame
    coding_seconds: float = 0.0


class Departure:
    """Frames that a stage has made, and its destinations: request r goes to number r modulo their number.

    Has no threads of its own: each of `steps` is to be repeated by one.
    """

    def __init__(
        self, destinations: Sequence[Destination], load: StageLoad, device: EmulatedDevice, encode_seconds: float
    ) -> None:
        """Empty queues.

        Args:
            destinations: Belong to it from now on.
            load: Names the codec, and how many frames may wait.
            device: Where coding takes its turn.
            encode_seconds: How long a turn lasts at least; 0 where nothing is emulated.
        """
        self._destinations = tuple(destinations)
        self._codec = load.codec
        self._device = device
        self._encode_seconds = encode_seconds
        self._uncoded: BoundedQueue[TensorFrame | ErrorFrame] = BoundedQueue(1)
        limit = max(1, load.queue_limit // len(self._destinations))
        self._leaving: tuple[BoundedQueue[_Leaving], ...] = tuple(BoundedQueue(limit) for _ in self._destinations)

    @property
    def busy_seconds(self) -> float:
        """For how long the ways were busy, all together."""
        return sum(way.busy_seconds for way in self._destinations)

    @property
    def sent_bytes(self) -> int:
        """Bytes written to all."""
        return sum(way.sent_bytes for way in self._destinations)

    def put(self, frame: TensorFrame | ErrorFrame) -> None:
        """Takes a frame; waits while there are too many.

        Raises:
            QueueClosedError: It was ended.
        """
        if self._codec:
            self._uncoded.put(frame)
        else:
            self._pass_on(_Leaving(frame))

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """What is to be done again and again, by name. Coding goes on while slow links are busy, and they side by side.

        Each raises `QueueClosedError` at the end, or the error of a destination.
        """
        if self._codec:
            yield "code", self._code_next
        for queue, way in zip(self._leaving, self._destinations, strict=True):
            yield "send", partial(_send_next, queue, way)

    def _pass_on(self, leaving: _Leaving) -> None:
        self._leaving[leaving.frame.request % len(self._leaving)].put(leaving)

    def _code_next(self) -> None:
        frame = self._uncoded.get()
        if isinstance(frame, ErrorFrame):
            return self._pass_on(_Leaving(frame))
        with self._device.work(self._encode_seconds) as began:
            coded = with_codec(frame, self._codec)
        return self._pass_on(_Leaving(coded, coding_seconds=time.perf_counter() - began))

    def end(self) -> None:
        """Drops what is in the queues; the steps end."""
        self._uncoded.close()
        for queue in self._leaving:
            queue.close()

    def close(self) -> None:
        """Ends the destinations as well."""
        self.end()
        for way in self._destinations:
            way.close()


def _send_next(queue: BoundedQueue[_Leaving], way: Destination) -> None:
    leaving = queue.get()
    if isinstance(leaving.frame, ErrorFrame):
        way.send_bytes(encode(leaving.frame))
    else:
        way.send_bytes(encode_timed(leaving.frame, leaving.coding_seconds))
