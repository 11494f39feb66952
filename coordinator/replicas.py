"""The client's end where several nodes bear the first stage, or the last: requests go round, results come together."""

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Protocol

from coordinator.pipeline import FrameSink, FrameSource
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.queueing import BoundedQueue, QueueClosedError
from node_agent.errors import NodeError, NodeUnreachableError
from node_agent.messages import Frame, TensorFrame

_WAITING_FRAMES = 2
"""For each sink: the next one is ready when a link becomes free."""
_JOIN_SECONDS = 5.0


class FailingSink(FrameSink, Protocol):
    """A sink that says when it broke, by itself."""

    @property
    def failure(self) -> FailureLatch:
        """Set then."""
        ...


class SinksInTurn:
    """Several sinks as one: request r goes to number r modulo their number. Each sends while the others do."""

    def __init__(self, sinks: Sequence[FailingSink]) -> None:
        """Starts a thread for each sink, which belongs to this one from now on."""
        self.failure = FailureLatch()
        """Set when one of the sinks broke; `send` then raises it."""
        self._sinks = tuple(sinks)
        self._queues: tuple[BoundedQueue[TensorFrame], ...] = tuple(BoundedQueue(_WAITING_FRAMES) for _ in sinks)
        for sink in self._sinks:
            sink.failure.listen(self._fail)
        self._threads = [
            threading.Thread(target=self._send_all, args=pair, name="inputs in turn", daemon=True)
            for pair in zip(self._queues, self._sinks, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, frame: TensorFrame) -> None:
        """Hands a frame over; waits while its sink is busy with earlier ones.

        Raises:
            NodeError: A sink broke.
            NodeUnreachableError: The sinks were closed.
        """
        self.failure.check()
        try:
            self._queues[frame.request % len(self._queues)].put(frame)
        except QueueClosedError as error:
            self.failure.check()
            raise NodeUnreachableError("The streams to the first stage are closed: open new ones.") from error

    def _send_all(self, queue: BoundedQueue[TensorFrame], sink: FrameSink) -> None:
        try:
            while True:
                sink.send(queue.get())
        except QueueClosedError:
            return
        except NodeError as error:
            self._fail(error)

    def _fail(self, error: NodeError) -> None:
        self.failure.set(error)
        self._end_queues()

    def _end_queues(self) -> None:
        for queue in self._queues:
            queue.close()

    @property
    def busy_seconds(self) -> float:
        """Of all links."""
        return sum(sink.busy_seconds for sink in self._sinks)

    def close(self) -> None:
        """Ends all streams."""
        self._end_queues()
        for sink in self._sinks:
            sink.close()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)


class SourcesTogether:
    """Several sources as one: frames of all as they come. Ends with the first that ends, by its error if it has one."""

    def __init__(self, sources: Sequence[FrameSource]) -> None:
        """Starts a thread for each source, which belongs to this one from now on."""
        self._sources = tuple(sources)
        self._frames: SimpleQueue[Frame | NodeError | None] = SimpleQueue()
        """What comes of all sources; None, or an error, where one ends."""
        self._threads = [
            threading.Thread(target=self._take_all, args=(source,), name="results together", daemon=True)
            for source in self._sources
        ]
        for thread in self._threads:
            thread.start()

    def _take_all(self, source: FrameSource) -> None:
        try:
            for frame in source:
                self._frames.put(frame)
            self._frames.put(None)
        except NodeError as error:
            self._frames.put(error)

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            if isinstance(frame, NodeError):
                raise frame
            yield frame

    def close(self) -> None:
        """Ends all sources, and the iteration with them."""
        for source in self._sources:
            source.close()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
