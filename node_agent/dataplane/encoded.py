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

    __slots__ = ("_opening", "_tensors", "_timing", "n_bytes")

    def __init__(
        self, opening: bytes, tensors: Sequence[Piece], n_bytes: int, timing: tuple[float, int] | None = None
    ) -> None:
        """A frame of `n_bytes`.

        Args:
            opening: All that stands before the tensors.
            tensors: Their bytes, in the order of the header.
            n_bytes: Of opening and tensors together.
            timing: Where the frame says how long encoding took: when that began, by `time.perf_counter`, and where in
                the opening a double takes the seconds until the frame is handed to the transport.
        """
        self._opening = opening
        self._tensors = tensors
        self._timing = timing
        self.n_bytes = n_bytes

    def pieces(self, before: bytes = b"") -> list[Piece]:
        """`before`, then the bytes in order, the tensors where they lie."""
        opening = self._opening if self._timing is None else _timed(self._opening, *self._timing)
        return [before + opening, *self._tensors]

    def joined(self) -> bytes:
        """The bytes in one piece."""
        buffer = io.BytesIO()
        buffer.write(self._opening)
        for tensor in self._tensors:
            buffer.write(tensor)
        if self._timing is not None:
            buffer.seek(0)
            buffer.write(_timed(self._opening, *self._timing))
        return buffer.getvalue()


def _timed(opening: bytes, started: float, time_at: int) -> bytearray:
    timed = bytearray(opening)
    _DOUBLE.pack_into(timed, time_at, time.perf_counter() - started)
    return timed
