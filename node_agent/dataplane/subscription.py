"""The receiving end of a deployment's results, over any plane."""

from collections.abc import Iterator

from node_agent.dataplane.decoder import FrameDecoder
from node_agent.dataplane.stream import IncomingStream
from node_agent.errors import NodeError
from node_agent.messages import Frame


class Subscription:
    """Frames that come out of a deployment. Iterated by one thread, closed by any. Made by `plane.subscribe`."""

    def __init__(self, stream: IncomingStream) -> None:
        self._stream = stream
        self._received = stream.received()
        self._decoder = FrameDecoder()
        self._is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        """The next frame; the iteration ends with the deployment, or with `close`.

        Raises:
            NodeUnreachableError: The node is gone.
            FrameError: What came is no frame.
        """
        try:
            return self._decoder.decode(next(self._received))
        except NodeError:
            if self._is_closed:
                raise StopIteration from None
            raise

    def close(self) -> None:
        """Ends the subscription."""
        self._is_closed = True
        self._stream.close()
