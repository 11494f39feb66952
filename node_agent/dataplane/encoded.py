"""A frame ready to be written: what stands before its tensors, then views of them."""

import io
import struct
import time
from collections.abc import Sequence

from node_agent.dataplane import envelope

_DOUBLE = struct.Struct("<d")

Buffer = bytes | bytearray | memoryview


class EncodedFrame:
    """A frame as pieces of bytes. Nothing is copied until it is written; the tensors must not change before.

    A transport that can gather takes `pieces`, one that wants a single object takes `joined`, which copies once. Not
    thread-safe: written once, by one thread at a time.
    """

    __slots__ = ("_header_stop", "_opening", "_started", "_tensors", "n_bytes")

    def __init__(self, header: bytes, tensors: Sequence[memoryview], *, started: float | None = None) -> None:
        """A frame of a header and the bytes of its tensors.

        Args:
            header: A serialized `FrameHeader`.
            tensors: Contiguous, in the order of the header.
            started: When encoding began, by `time.perf_counter`. The last eight bytes of the header then are a double
                that takes the seconds until the frame is handed to the transport.
        """
        n_payload = sum(map(len, tensors))
        self._opening, self._header_stop = envelope.opening(header, n_payload)
        self._tensors = tensors
        self._started = started
        self.n_bytes = len(self._opening) + n_payload
        """Of the whole frame."""

    def pieces(self) -> list[Buffer]:
        """The bytes in order, the tensors where they lie."""
        self._put_time()
        return [self._opening, *self._tensors]

    def joined(self) -> bytes:
        """The bytes in one piece."""
        buffer = io.BytesIO()
        buffer.write(self._opening)
        for tensor in self._tensors:
            buffer.write(tensor)
        if self._started is not None:
            self._put_time()
            buffer.seek(0)
            buffer.write(self._opening)
        return buffer.getvalue()

    def _put_time(self) -> None:
        if self._started is not None:
            seconds = time.perf_counter() - self._started
            _DOUBLE.pack_into(self._opening, self._header_stop - _DOUBLE.size, seconds)
