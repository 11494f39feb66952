"""Tensors laid out by `planes`, then compressed; what does not shrink travels as it is."""

import struct
from typing import Protocol

import numpy as np

from node_agent.codecs import planes
from node_agent.errors import FrameError

_HEADER = struct.Struct("<B7xQ")
"""Form, and how many words were kept. Sixteen bytes, so that raw values start where they may be read in place."""
_RAW, _ALL_WORDS, _WITHOUT_ZEROS = range(3)


class Door(Protocol):
    """The module that imports a compressor: bytes to fewer bytes and back."""

    def is_installed(self) -> bool:
        """Whether this machine has the library; nothing else is called where it has not."""
        ...

    def compress(self, content: memoryview, /) -> bytes:
        """Fewer bytes, or a few more."""
        ...

    def decompress(self, received: memoryview, n_bytes: int, /) -> bytes:
        """Exactly `n_bytes`, and never more memory than that.

        Raises:
            FrameError: `received` is not that.
        """
        ...


class Lossless:
    """Both directions with one compressor. Thread-safe as that is."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def encode(self, values: np.ndarray) -> memoryview:
        """(n,) of any type that travels, as a header and what is left of it."""
        word, _ = planes.words_of(values.dtype, values.size)
        laid, n_kept = planes.lay_out(values.view(word))
        compressed = self._door.compress(laid.data)
        if len(compressed) >= values.nbytes:
            return memoryview(b"".join((_HEADER.pack(_RAW, 0), values.data)))
        form = _ALL_WORDS if n_kept is None else _WITHOUT_ZEROS
        return memoryview(b"".join((_HEADER.pack(form, n_kept or 0), compressed)))

    def decode(self, received: memoryview, dtype: np.dtype, n_elements: int) -> np.ndarray:
        """(n_elements,) of `dtype`.

        Raises:
            FrameError: The bytes are not such a tensor.
        """
        if len(received) < _HEADER.size:
            raise FrameError(f"The header needs {_HEADER.size} bytes.")
        form, n_kept = _HEADER.unpack_from(received)
        body = received[_HEADER.size :]
        if form == _RAW:
            if len(body) != n_elements * dtype.itemsize:
                raise FrameError(f"{n_elements} raw elements need {n_elements * dtype.itemsize} bytes.")
            return np.frombuffer(body, dtype)
        word, n_words = planes.words_of(dtype, n_elements)
        if form not in (_ALL_WORDS, _WITHOUT_ZEROS) or n_kept > n_words:
            raise FrameError(f"The header announces form {form} with {n_kept} words of {n_words}.")
        kept = None if form == _ALL_WORDS else n_kept
        n_laid = n_words * word.itemsize if kept is None else planes.map_bytes(n_words) + kept * word.itemsize
        laid = np.frombuffer(self._door.decompress(body, n_laid), np.uint8)
        return planes.restore(laid, word, n_words, kept).view(dtype)
