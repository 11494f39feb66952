"""Loads a model from wherever it comes."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from partitioner.onnx_io.export_cache import ModelCache, default_cache_dir
from partitioner.onnx_io.layout import lay_out
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.sources import SourceRequest, open_source


def load_model(
    source: str,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] = MappingProxyType({}),
    inputs: Mapping[str, np.ndarray] = MappingProxyType({}),
    weights: Path | None = None,
    seed: int = 0,
    cache_dir: Path | None = None,
) -> Model:
    """Loads a model and finds where it can be split.

    Args:
        source: Path of an `.onnx` file or of a `.pt2` program, `package.module:factory` (returns a torch module, or
            one with its example inputs), or a name of the zoo.
        batch: Samples in one run: the size of the inputs' free first dimension; None for what `inputs` have, or 1.
        dims: Sizes of the other free dimensions, by the model's name for them or as `input.axis`. An integer input of
            one element, as a sample rate that chooses between the branches of an If, is given its value by its name;
            it is no input any more then.
        inputs: Arrays of all inputs, by name (see `given_inputs.read_inputs`): free dimensions get their sizes, and
            trials, verification and measurement run on them instead of on random values.
        weights: File with a state_dict, for the zoo and for factories.
        seed: Of the weights, where none are given.
        cache_dir: Where exported models are kept; None for the user's cache folder.

    Raises:
        ModelFileError: A file is missing, cut off or not what its name says.
        UnknownModelError: No such name in the zoo.
        UnsupportedModelError: The model holds something that cannot be run or cut.
        ModelError: Anything else that makes the model unusable, as a dimension without a size, or inputs that do not
            fit it.
    """
    cache = ModelCache(cache_dir or default_cache_dir())
    request = SourceRequest(source=source, batch=batch or _first_size(inputs), weights=weights, seed=seed)
    opened = open_source(request, cache)
    return Model(opened, lay_out(opened, batch=batch, dims=dims, inputs=inputs, cache=cache))


def _first_size(inputs: Mapping[str, np.ndarray]) -> int:
    """What to export a model with that comes from torch: the first dimension of the first input."""
    return next((array.shape[0] for array in inputs.values() if array.ndim and array.shape[0]), 1)
