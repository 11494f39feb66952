"""Inputs for trial runs."""

from collections.abc import Mapping

import numpy as np
from onnx import GraphProto, TensorProto, helper


def sample_inputs(graph: GraphProto, seed: int) -> dict[str, np.ndarray]:
    """Random values for every input of a graph whose shapes are concrete; equal seeds give equal values.

    Floating-point numbers are standard normal, integers 0 or 1 (indices of even the smallest table), booleans fair.
    """
    generator = np.random.default_rng(seed)
    samples = {}
    for value in graph.input:
        shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        samples[value.name] = _draw(generator, value.type.tensor_type.elem_type, shape)
    return samples


def trial_samples(graph: GraphProto, given: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], ...]:
    """Two samples that differ: random ones, or what was given and values drawn from those, single ones as they are."""
    if not given:
        return sample_inputs(graph, 0), sample_inputs(graph, 1)
    generator = np.random.default_rng(0)
    return dict(given), {name: generator.choice(array.ravel(), array.shape) for name, array in given.items()}


def _draw(generator: np.random.Generator, element_type: int, shape: tuple[int, ...]) -> np.ndarray:
    if element_type == TensorProto.STRING:
        return np.full(shape, "a", dtype=object)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(element_type))
    if dtype.kind in "biu":
        return np.asarray(generator.integers(0, 2, size=shape)).astype(dtype)
    return np.asarray(generator.standard_normal(size=shape)).astype(dtype)
