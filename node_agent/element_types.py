"""Element types that travel between nodes, and how many bytes a tensor of them has."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from node_agent.errors import FrameError

DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
"""All else is refused before anything is allocated."""

_MAX_RANK = 64
_MAX_TENSOR_BYTES = 2**63 - 1


@lru_cache(maxsize=64)
def type_name(dtype: np.dtype) -> str:
    """`dtype.name`, which NumPy works out anew each time; byte orders have the same name."""
    return dtype.name


def tensor_bytes(name: str, dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor as it was announced by another machine.

    Raises:
        FrameError: The element type does not travel, or the shape is impossible.
    """
    if dtype not in DTYPES:
        raise FrameError(f"Tensor {name[:80]!r} has elements of {dtype[:80]!r}: want one of {', '.join(DTYPES)}.")
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise FrameError(f"Tensor {name[:80]!r} has the impossible shape {tuple(shape[: _MAX_RANK + 1])}.")
    # NumPy counts the other sizes also where one is zero.
    if math.prod(max(size, 1) for size in shape) * DTYPES[dtype].itemsize > _MAX_TENSOR_BYTES:
        raise FrameError(f"Tensor {name[:80]!r} of shape {tuple(shape)} has more bytes than can be counted.")
    return math.prod(shape) * DTYPES[dtype].itemsize
