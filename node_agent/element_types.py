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
        raise FrameError(f"Tensor {name!r} has elements of {dtype!r}: want one of {', '.join(DTYPES)}.")
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise FrameError(f"Tensor {name!r} has the impossible shape {tuple(shape)}.")
    return math.prod(shape) * DTYPES[dtype].itemsize
