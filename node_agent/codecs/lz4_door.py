"""The only module that imports lz4, and only when it is needed: a node may lack it."""

from functools import cache
from types import ModuleType
from typing import Any

from node_agent.errors import FrameError

_MAX_RATIO = 255
"""One byte of a block stands for at most so many of its content."""


@cache
def _library() -> ModuleType | None:
    try:
        import lz4.block  # noqa: PLC0415 - its absence is no error
    except ImportError:
        return None
    block: ModuleType = lz4.block
    return block


def is_installed() -> bool:
    """Whether this machine has the library."""
    return _library() is not None


def compress(content: memoryview) -> bytes:
    """One block, without its size."""
    library: Any = _library()
    compressed: bytes = library.compress(content, store_size=False)
    return compressed


def decompress(received: memoryview, n_bytes: int) -> bytes:
    """The content of one block, exactly `n_bytes`; what so few bytes cannot hold is refused before anything else.

    Raises:
        FrameError: `received` is not that.
    """
    library: Any = _library()
    if n_bytes > _MAX_RATIO * len(received):
        raise FrameError(f"No lz4 block of {len(received)} bytes holds {n_bytes}.")
    try:
        content: bytes = library.decompress(received, uncompressed_size=n_bytes)
    except library.LZ4BlockError as exc:
        raise FrameError(f"This is no lz4 block of {n_bytes} bytes: {exc}.") from exc
    if len(content) != n_bytes:
        raise FrameError(f"The lz4 block holds {len(content)} bytes: want {n_bytes}.")
    return content
