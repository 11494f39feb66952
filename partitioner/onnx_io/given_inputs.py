"""Inputs that a user gives as arrays: they say what sizes the free dimensions have, and every run takes them."""

import difflib
import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper

from partitioner.errors import ModelError, ModelFileError
from partitioner.onnx_io.dimensions import Dimension, dimensions_of

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSizes:
    """What given arrays say about a model."""

    batch: int
    sizes: Mapping[str, int]
    """Of the free dimensions, by `input.axis`, beside those that were bound by name."""


def read_inputs(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an `.npz` file, by name; nothing in it is executed.

    Raises:
        ModelFileError: Missing, damaged, a single array without a name, or it holds Python objects.
    """
    try:
        with path.open("rb") as file:
            return _read_npz(file, path)
    except FileNotFoundError as exc:
        raise ModelFileError(f"No such file of inputs: {path}") from exc
    except OSError as exc:
        raise ModelFileError(f"Cannot read the inputs {path}: {exc.strerror or exc}") from exc


def _read_npz(file: BinaryIO, path: Path) -> dict[str, np.ndarray]:
    try:
        opened = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as exc:
        raise ModelFileError(f"{path} is no .npz file: write it with numpy.savez(file, NAME=array, …)") from exc
    if isinstance(opened, np.ndarray):
        raise ModelFileError(
            f"{path} holds one array without a name: write it with numpy.savez(file, NAME=array), NAME as the input"
        )
    return {name: _entry(opened, name, path) for name in opened.files}


def _entry(opened: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    try:
        return opened[name]
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as exc:
        raise ModelFileError(
            f"Array {name!r} of {path} cannot be read ({' '.join(str(exc).split())[:120]}): "
            "save plain numeric arrays with numpy.savez"
        ) from exc


def inputs_digest(arrays: Arrays) -> str:
    """Sha256 of names, element types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}\0{arrays[name].dtype.name}\0{arrays[name].shape}\0".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def sizes_of_inputs(
    graph: GraphProto, arrays: Arrays, fixed: Arrays, *, batch: int | None, sizes: Mapping[str, int], what: str
) -> GivenSizes:
    """Sizes of the free dimensions, as the arrays have them.

    Args:
        graph: Of the model, its dimensions not bound yet.
        arrays: One for each input; those that have a fixed value may be among them.
        fixed: Inputs that were given their value by name; the graph has them no more.
        batch: Samples in one run, where that was asked for.
        sizes: Free dimensions that were bound by name.
        what: Name of the model for the error message.

    Raises:
        ModelError: With every array that is unknown, missing, or of another element type, rank or size.
        UnsupportedModelError: An input is no tensor, or has no rank.
    """
    dimensions = {value.name: tuple(dimensions_of(value, what)) for value in graph.input}
    faults = [*_name_faults(tuple(dimensions), arrays, fixed), *_fixed_faults(arrays, fixed)]
    matching: list[tuple[Dimension, int]] = []
    for value in graph.input:
        if value.name in arrays:
            faults += _type_faults(value, dimensions[value.name], arrays[value.name])
            if arrays[value.name].ndim == len(dimensions[value.name]):
                matching += zip(dimensions[value.name], arrays[value.name].shape, strict=True)
    faults += [*_size_faults(matching, sizes), *_batch_faults(matching, batch, sizes)]
    if faults:
        raise ModelError(f"The given inputs do not fit {what}: {'; '.join(faults)}.")
    batch = batch or _batch_of(matching, sizes)
    free = [(dimension, size) for dimension, size in matching if not dimension.size]
    bound = {dimension.key: size for dimension, size in free if size != batch or not _may_be_batch(dimension, sizes)}
    return GivenSizes(batch=batch, sizes={**sizes, **bound})


def _batch_of(matching: Iterable[tuple[Dimension, int]], sizes: Mapping[str, int]) -> int:
    """Size of the first free first dimension; without one, what all first dimensions are fixed to, or 1."""
    fixed = {dimension.size for dimension, _ in matching if dimension.axis == 0 and dimension.size}
    otherwise = fixed.pop() if len(fixed) == 1 else 1
    return next((size for dimension, size in matching if _may_be_batch(dimension, sizes)), otherwise)


def _name_faults(names: Iterable[str], arrays: Arrays, fixed: Arrays) -> Iterator[str]:
    known = {*names, *fixed}
    for name in arrays:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name!r} is no input{f' (did you mean {near[0]!r}?)' if near else ''}"
    for name in names:
        if name not in arrays:
            yield f"an array for input {name!r} is missing"


def _fixed_faults(arrays: Arrays, fixed: Arrays) -> Iterator[str]:
    for name, value in fixed.items():
        if name in arrays and not np.array_equal(arrays[name].ravel(), value.ravel()):
            yield f"{name!r} is {arrays[name].ravel()[:3].tolist()}, but was bound to {value.item()}"


def _type_faults(value: ValueInfoProto, dimensions: tuple[Dimension, ...], array: np.ndarray) -> Iterator[str]:
    wanted = _dtype_name(value.type.tensor_type.elem_type)
    if array.dtype.name != wanted:
        yield f"{value.name!r} is {array.dtype.name}, the model wants {wanted}"
    if array.ndim != len(dimensions):
        shape = ", ".join(str(dimension.size or dimension.symbol or "?") for dimension in dimensions)
        yield f"{value.name!r} has shape {list(array.shape)}, the model wants [{shape}]"


def _dtype_name(element_type: int) -> str:
    return "string" if element_type == TensorProto.STRING else helper.tensor_dtype_to_np_dtype(element_type).name


def _size_faults(matching: list[tuple[Dimension, int]], sizes: Mapping[str, int]) -> Iterator[str]:
    """Sizes that differ from the model's, from those bound by name, or among inputs that share a symbol."""
    first_of: dict[str, tuple[Dimension, int]] = {}
    for dimension, size in matching:
        where = f"axis {dimension.axis} of {dimension.input_name!r} is {size}"
        wanted = dimension.size or next((sizes[key] for key in dimension.keys if key in sizes), 0)
        if wanted and wanted != size:
            yield f"{where}, {'the model wants' if dimension.size else 'but was bound to'} {wanted}"
        elif size < 1:
            yield f"{where}, it must be at least 1"
        elif dimension.symbol and not dimension.size:
            other, expected = first_of.setdefault(dimension.symbol, (dimension, size))
            if size != expected:
                yield f"{where}, but {dimension.symbol!r} is {expected} in {other.input_name!r}"


def _batch_faults(matching: list[tuple[Dimension, int]], batch: int | None, sizes: Mapping[str, int]) -> Iterator[str]:
    for dimension, size in matching:
        if _may_be_batch(dimension, sizes) and batch is not None and size != batch:
            yield f"{dimension.input_name!r} has {size} samples, but batch {batch} was asked for"


def _may_be_batch(dimension: Dimension, sizes: Mapping[str, int]) -> bool:
    return dimension.axis == 0 and not dimension.size and not any(key in sizes for key in dimension.keys)
