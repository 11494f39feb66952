"""What a tensor looks like, without its values."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, element type and shape of one tensor that flows through a graph."""

    name: str
    """Unique in its graph."""
    dtype: str
    """NumPy's name of the element type: `float32`, `int64`, `bool`, …"""
    shape: tuple[int, ...]
    """Concrete sizes; `()` is a scalar."""

    @property
    def n_bytes(self) -> int:
        """Bytes of the values, uncompressed."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize
