"""A frame ready to be written: what stands before its tensors, then the tensors where they lie."""

import io
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

_DOUBLE = struct.Struct("<d")

Buffer = bytes | bytearray | memoryview
Piece = Any
"""A `Buffer`, or an array whose elements lie in C order: NumPy's types do not say that an array is a buffer, too."""


def byte_view(piece: Piece) -> memoryview:
    """The bytes of a piece, one by one."""
    return piece.reshape(-1).view(np.uint8).data if isinstance(piece, np.ndarray) else memoryview(piece)


class EncodedFrame:
    """A frame as pieces. Nothing is copied until it is written; the tensors must not change before.

    A transport that can gather takes `pieces`, one that wants a single object takes `joined`, which copies once. Not
    thread-safe: written once, by one thread at a time.
    """

    __slots__ = ("_opening", "_started", "_tensors", "_time_at", "n_bytes")

    def __init__(
        self,
        opening: bytes,
        tensors: Sequence[Piece],
        n_bytes: int,
        started: float = 0.0,
        time_at: int | None = None,
    ) -> None:
        """A frame of `n_bytes`.

        Args:
            opening: All that stands before the tensors.
            tensors: Their bytes, in the order of the header.
            n_bytes: Of opening and tensors together.
            started: When encoding began, by `time.perf_counter`, where the frame says how long that took.
            time_at: Where in the opening a double takes the seconds until the frame is handed to the transport.
        """
        self._opening = opening
        self._tensors = tensors
        self._started = started
        self._time_at = time_at
        self.n_bytes = n_bytes

    def pieces(self, before: bytes = b"") -> list[Piece]:
        """`before`, then the bytes in order, the tensors where they lie."""
        opening = self._opening if self._time_at is None else self._timed_opening(self._time_at)
        return [before + opening, *self._tensors]

    def joined(self) -> bytes:
        """The bytes in one piece."""
        buffer = io.BytesIO()
        buffer.write(self._opening)
        for tensor in self._tensors:
            buffer.write(tensor)
        if self._time_at is not None:
            buffer.seek(0)
            buffer.write(self._timed_opening(self._time_at))
        return buffer.getvalue()

    def _timed_opening(self, time_at: int) -> Buffer:
        opening = bytearray(self._opening)
        _DOUBLE.pack_into(opening, time_at, time.perf_counter() - self._started)
        return opening
