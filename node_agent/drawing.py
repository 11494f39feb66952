"""Tensors to time something with."""

from collections.abc import Iterable

import numpy as np

from node_agent.messages import TensorSpec


def draw_tensors(specs: Iterable[TensorSpec], draw: np.random.Generator) -> dict[str, np.ndarray]:
    """A tensor of each spec: normal floats, zeroes for integers (a valid index everywhere), true for booleans.

    All sizes of the shapes are known.
    """
    return {spec.name: _draw(np.dtype(spec.dtype), spec.shape, draw) for spec in specs}


def _draw(dtype: np.dtype, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    if dtype.kind == "f":
        return draw.standard_normal(shape, dtype=np.float32).astype(dtype)
    return np.full(shape, dtype.kind == "b", dtype=dtype)
