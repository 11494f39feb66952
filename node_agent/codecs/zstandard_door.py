"""The only module that imports zstandard, and only when it is needed: a node may lack it."""

import threading
from functools import cache
from types import ModuleType
from typing import Any

from node_agent.errors import FrameError

LEVEL = 1
"""On tensors laid out by `planes` the next levels gain less than 1 % and take up to twice as long."""

_contexts = threading.local()
"""Contexts are costly to make and serve one thread."""


@cache
def _library() -> ModuleType | None:
    try:
        import zstandard  # noqa: PLC0415 - its absence is no error
    except ImportError:
        return None
    return zstandard


def is_installed() -> bool:
    """Whether this machine has the library."""
    return _library() is not None


def compress(content: memoryview) -> bytes:
    """One frame that names the size of its content."""
    compressed: bytes = _context("compressor", lambda library: library.ZstdCompressor(level=LEVEL)).compress(content)
    return compressed


def decompress(received: memoryview, n_bytes: int) -> bytes:
    """The content of one frame, exactly `n_bytes`; the size that it names is compared before anything is allocated.

    Raises:
        FrameError: `received` is not that.
    """
    library: Any = _library()
    try:
        announced = library.get_frame_parameters(received).content_size
        if announced != n_bytes:
            raise FrameError(f"The zstd frame announces {announced} bytes: want {n_bytes}.")
        context = _context("decompressor", lambda library: library.ZstdDecompressor())
        content: bytes = context.decompress(received, max_output_size=n_bytes, allow_extra_data=False)
    except library.ZstdError as exc:
        raise FrameError(f"This is no zstd frame: {exc}.") from exc
    if len(content) != n_bytes:
        raise FrameError(f"The zstd frame holds {len(content)} bytes: want {n_bytes}.")
    return content


def _context(name: str, make: Any) -> Any:
    if not hasattr(_contexts, name):
        setattr(_contexts, name, make(_library()))
    return getattr(_contexts, name)
