"""Blobs as one stream of messages, and back. Both ends are here so that they agree."""

import logging
from collections.abc import Iterable, Iterator

from node_agent import wire_codec
from node_agent.api import Transfer
from node_agent.errors import RequestRejectedError
from node_agent.messages import BlobRef
from node_agent.wire import agent_pb2

CHUNK_BYTES = 1 << 20
"""Of content in one message."""
_logger = logging.getLogger(__name__)


class OutgoingBlobs:
    """Blobs as messages. gRPC would swallow what their chunks raise: it is kept, and the stream ends early.

    The node then finds too few bytes of that blob, and keeps nothing of it.
    """

    def __init__(self, transfers: Iterable[Transfer]) -> None:
        self._transfers = transfers
        self.fault: Exception | None = None

    def __iter__(self) -> Iterator[agent_pb2.BlobChunk]:
        for blob, chunks in self._transfers:
            message = agent_pb2.BlobChunk(blob=wire_codec.to_wire(blob))
            try:
                for content in _parts(chunks):
                    message.content = content
                    yield message
                    message = agent_pb2.BlobChunk()
            except Exception as exc:  # noqa: BLE001 - `NodeClient.put_blobs` raises it again
                _logger.warning("a transfer broke", extra={"sha256": blob.sha256, "error": repr(exc)})
                self.fault = exc
                return
            if message.HasField("blob"):  # there was no content
                yield message


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        if len(chunk) <= CHUNK_BYTES:
            yield chunk
            continue
        view = memoryview(chunk)
        for start in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[start : start + CHUNK_BYTES])


class IncomingBlobs:
    """The blobs of a stream of messages, one after another. What is not read of one is skipped."""

    def __init__(self, messages: Iterator[agent_pb2.BlobChunk]) -> None:
        self._messages = messages
        self._next: agent_pb2.BlobChunk | None = None
        self.last: agent_pb2.BlobRef | None = None
        """The newest one begun."""

    def __iter__(self) -> Iterator[tuple[BlobRef, Iterator[bytes]]]:
        """Each blob with its chunks, which are to be read before the next blob is asked for.

        Raises:
            RequestRejectedError: The stream does not begin with a blob.
        """
        self._next = next(self._messages, None)
        if self._next is None or not self._next.HasField("blob"):
            raise RequestRejectedError("The first chunk of a blob must name it.")
        while self._next is not None:
            self.last = self._next.blob
            chunks = self._chunks(self._next)
            yield wire_codec.from_wire(self.last), chunks
            for _ in chunks:
                pass

    def _chunks(self, first: agent_pb2.BlobChunk) -> Iterator[bytes]:
        self._next = None
        yield first.content
        for message in self._messages:
            if message.HasField("blob"):
                self._next = message
                return
            yield message.content
