"""Weights by content: what a graph refers to by digest, and where the bytes lie."""

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from partitioner.errors import ModelFileError

INLINE_LIMIT_BYTES = 1024
"""A tensor below this size stays in the graph."""

_CHUNK_BYTES = 1 << 20

_BITS_OF = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2}
_PACKED = {kind: _BITS_OF[name] for name, kind in TensorProto.DataType.items() if name in _BITS_OF}
"""Element types with several elements to a byte, which no array can view → bits of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRange:
    """Bytes that lie in a file."""

    path: Path
    offset: int
    n_bytes: int


class WeightStore:
    """Weights of one model, each once, by sha256. Nothing is read from files before it is asked for.

    Filled while the model is loaded, then only read: safe between threads.
    """

    def __init__(self) -> None:
        self._source_of: dict[str, bytes | FileRange] = {}

    def add(self, source: bytes | FileRange, sha256: str | None = None) -> str:
        """Keeps a weight and returns its digest; a known one need not be computed."""
        digest = sha256 or _digest(source)
        self._source_of.setdefault(digest, source)
        return digest

    def read(self, sha256: str) -> bytes:
        """Bytes of a weight.

        Raises:
            KeyError: No weight of this model has the digest.
        """
        source = self._source_of[sha256]
        if isinstance(source, bytes):
            return source
        with source.path.open("rb") as file:
            file.seek(source.offset)
            return file.read(source.n_bytes)

    def n_bytes(self, sha256: str) -> int:
        """Length of a weight."""
        source = self._source_of[sha256]
        return len(source) if isinstance(source, bytes) else source.n_bytes

    def digests(self) -> tuple[str, ...]:
        """Digests of all weights, in the order in which they were added."""
        return tuple(self._source_of)

    def file_range(self, sha256: str) -> FileRange | None:
        """Where in a file a weight lies; None for one in memory."""
        source = self._source_of[sha256]
        return source if isinstance(source, FileRange) else None

    def array(self, tensor: TensorProto) -> np.ndarray:
        """Values of an external tensor, read-only, not copied: a view of memory or of the mapped file."""
        source = self._source_of[location_of(tensor)]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        shape = tuple(tensor.dims)
        if isinstance(source, bytes):
            return np.frombuffer(source, dtype=dtype).reshape(shape)
        return np.memmap(source.path, dtype=dtype, mode="r", offset=source.offset, shape=shape)

    def place(self, sha256: str, folder: Path) -> None:
        """Makes the weight a file of `folder` named by its digest: a hard link where that is possible, else a copy."""
        target = folder / sha256
        if target.exists():
            return
        source = self._source_of[sha256]
        if isinstance(source, FileRange) and source.offset == 0 and source.path.name == sha256:
            try:
                os.link(source.path, target)
            except OSError:  # another file system, or one without hard links
                pass
            else:
                return
        with target.open("wb") as file:
            file.writelines(_chunks(source) if isinstance(source, FileRange) else (source,))


def is_external(tensor: TensorProto) -> bool:
    """Whether the values lie outside the graph."""
    return tensor.data_location == TensorProto.EXTERNAL


def is_packed(tensor: TensorProto) -> bool:
    """Whether several elements share a byte."""
    return tensor.data_type in _PACKED


def location_of(tensor: TensorProto) -> str:
    """Where the values of an external tensor lie; a digest in our own graphs."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def tensor_bytes(tensor: TensorProto) -> int:
    """Bytes of a tensor's values, wherever they lie; 0 for strings."""
    if tensor.data_type == TensorProto.STRING:
        return 0
    n_elements = math.prod(tensor.dims)
    if is_packed(tensor):
        return math.ceil(n_elements * _PACKED[tensor.data_type] / 8)
    return n_elements * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def refer_to(tensor: TensorProto, location: str, n_bytes: int, *, offset: int = 0) -> None:
    """Turns a tensor into a reference to a part of a file; `location` is a digest where that is a blob."""
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(n_bytes))):
        tensor.external_data.add(key=key, value=value)


def to_raw(tensor: TensorProto) -> None:
    """Rewrites values given as typed fields as raw bytes, so that equal values are equal bytes."""
    if tensor.data_type == TensorProto.STRING or tensor.HasField("raw_data") or is_external(tensor):
        return
    try:
        values = numpy_helper.to_array(tensor)
    except ValueError as exc:
        raise ModelFileError(
            f"Weight {tensor.name!r} holds another number of values than its shape {list(tensor.dims)} wants: "
            "export the model again"
        ) from exc
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def move_out(tensor: TensorProto, folder: Path, store: WeightStore, *, trusted: bool) -> None:
    """Moves a tensor's values into the store, or into the tensor where they are small.

    Args:
        tensor: Changed in place; inline, or external with a location in `folder`.
        folder: Of the model's file.
        store: Takes the values.
        trusted: Whether locations are digests that we wrote ourselves and need not be computed again.

    Raises:
        ModelFileError: The file of the values is missing, too short, or outside `folder`, or their number is wrong.
    """
    if tensor.data_type == TensorProto.STRING:
        return
    if not is_external(tensor):
        to_raw(tensor)
        _check_length(tensor, len(tensor.raw_data))
        if len(tensor.raw_data) >= INLINE_LIMIT_BYTES:
            raw = tensor.raw_data
            refer_to(tensor, store.add(raw), len(raw))
        return
    values = locate(tensor, folder)
    if values.n_bytes < INLINE_LIMIT_BYTES:
        inline(tensor, folder)
        return
    known = location_of(tensor) if trusted else None
    refer_to(tensor, store.add(values, known), values.n_bytes)


def inline(tensor: TensorProto, folder: Path) -> None:
    """Reads the values of an external tensor into it."""
    if not is_external(tensor):
        return
    values = locate(tensor, folder)
    with values.path.open("rb") as file:
        file.seek(values.offset)
        raw = file.read(values.n_bytes)
    tensor.ClearField("external_data")
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = raw


def locate(tensor: TensorProto, folder: Path) -> FileRange:
    """Where the values of an external tensor lie.

    Raises:
        ModelFileError: As `move_out`.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not entries.get("location"):
        raise ModelFileError(f"Weight {tensor.name!r} is external but names no file: export the model again")
    path = (folder / entries.get("location", "")).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ModelFileError(
            f"Weight {tensor.name!r} lies at {entries.get('location')!r}, outside the model's folder: "
            "keep external data beside the .onnx file"
        )
    if not path.is_file():
        raise ModelFileError(
            f"Weight {tensor.name!r} wants the file {path}, which is missing: copy it beside the model"
        )
    offset = _natural(tensor, "offset", entries.get("offset", "0"))
    n_bytes = _natural(tensor, "length", entries.get("length", "0")) or tensor_bytes(tensor)
    _check_length(tensor, n_bytes)
    if offset + n_bytes > path.stat().st_size:
        raise ModelFileError(
            f"Weight {tensor.name!r} wants bytes {offset}..{offset + n_bytes} of {path}, "
            f"which has {path.stat().st_size}: the file is cut off, copy it again"
        )
    return FileRange(path=path, offset=offset, n_bytes=n_bytes)


def _natural(tensor: TensorProto, key: str, text: str) -> int:
    if not text.isdecimal():
        raise ModelFileError(
            f"Weight {tensor.name!r} has {key} {text!r} in its file; it must be a whole number from 0 on"
        )
    return int(text)


def _check_length(tensor: TensorProto, n_bytes: int) -> None:
    if n_bytes != tensor_bytes(tensor):
        raise ModelFileError(
            f"Weight {tensor.name!r} has {n_bytes} bytes, but its shape {list(tensor.dims)} and element type want "
            f"{tensor_bytes(tensor)}: export the model again"
        )


def _digest(source: bytes | FileRange) -> str:
    digest = hashlib.sha256()
    if isinstance(source, bytes):
        digest.update(source)
    else:
        for chunk in _chunks(source):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(source: FileRange) -> Iterator[bytes]:
    """The bytes, read one MiB at a time: a weight may be larger than the memory."""
    with source.path.open("rb") as file:
        file.seek(source.offset)
        left = source.n_bytes
        while left:
            chunk = file.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise ModelFileError(f"{source.path} has become shorter while it was read: load the model again")
            left -= len(chunk)
            yield chunk
