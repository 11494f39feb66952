"""The codecs by name. Pure functions, to be called from any thread."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from node_agent.codecs import half, levels, lossless, lz4_door, zstandard_door
from node_agent.element_types import DTYPES, tensor_bytes
from node_agent.errors import CodecMissingError, FrameError
from node_agent.messages import TensorSpec

Received = bytes | bytearray | memoryview
"""What came from the wire."""

MAX_TENSOR_BYTES = 1 << 31
"""Largest tensor that is decoded unless the caller allows less; no message may be larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codec:
    """Both directions, for flat little-endian arrays that are not empty."""

    encode: Callable[[np.ndarray], memoryview]
    decode: Callable[[memoryview, np.dtype, int], np.ndarray]
    """Of bytes, element type and number of elements."""
    is_available: Callable[[], bool] = lambda: True
    takes_all_types: bool = True


def _encode_raw(values: np.ndarray) -> memoryview:
    return values.view(np.uint8).data


def _decode_raw(received: memoryview, dtype: np.dtype, n_elements: int) -> np.ndarray:
    if len(received) != n_elements * dtype.itemsize:
        raise FrameError(f"{n_elements} elements of {dtype.name} need {n_elements * dtype.itemsize} bytes.")
    return np.frombuffer(received, dtype)


def _compressing(door: lossless.Door) -> _Codec:
    both = lossless.Lossless(door)
    return _Codec(encode=both.encode, decode=both.decode, is_available=door.is_installed)


_RAW = _Codec(encode=_encode_raw, decode=_decode_raw)
_CODECS = {
    "none": _RAW,
    "float16": _Codec(encode=half.encode, decode=half.decode, takes_all_types=False),
    "int8": _Codec(encode=levels.encode, decode=levels.decode, takes_all_types=False),
    "zstd": _compressing(zstandard_door),
    "lz4": _compressing(lz4_door),
}
CODECS = tuple(_CODECS)
"""Names of all codecs, whether this machine has their libraries or not."""


def available_codecs() -> tuple[str, ...]:
    """Names of the codecs whose libraries this machine has."""
    return tuple(name for name, codec in _CODECS.items() if codec.is_available())


def check_codec(codec: str) -> None:
    """Raises `CodecMissingError` unless this machine has the codec; the message says which it has."""
    _find(codec)


def encode(codec: str, values: np.ndarray) -> memoryview:
    """A tensor's values as bytes, C order, little-endian.

    Args:
        codec: One of `available_codecs()`.
        values: Of any shape, of an element type that travels.

    Returns:
        A view of bytes; of `values` themselves where nothing had to be done.

    Raises:
        CodecMissingError: No codec of this name here.
        FrameError: The element type does not travel.
    """
    chosen = _find(codec)
    dtype = DTYPES.get(values.dtype.name)
    if dtype is None:
        raise FrameError(f"Elements of {values.dtype} cannot be encoded: only {', '.join(DTYPES)} can travel.")
    flat = np.ascontiguousarray(values, dtype=dtype).reshape(-1)
    return _fitting(chosen, dtype, flat.size).encode(flat)


def decode(codec: str, received: Received, spec: TensorSpec, *, max_bytes: int = MAX_TENSOR_BYTES) -> np.ndarray:
    """The tensor in `received`; a read-only view of it where nothing had to be done.

    Nothing is allocated before `spec` was found possible and small enough; a compressed tensor that would come out
    larger than `spec` says is refused by its compressor.

    Args:
        codec: One of `available_codecs()`.
        received: As `encode` gave it on the other machine.
        spec: Shape and element type that the tensor had there.
        max_bytes: Largest tensor to decode.

    Raises:
        CodecMissingError: No codec of this name here.
        FrameError: The bytes are not what this codec makes of such a tensor, or it is too large.
    """
    chosen = _find(codec)
    n_bytes = tensor_bytes(spec.name, spec.dtype, spec.shape)
    if n_bytes > max_bytes:
        raise FrameError(f"Tensor {spec.name!r} would have {n_bytes} bytes: at most {max_bytes} are taken.")
    dtype = DTYPES[spec.dtype]
    n_elements = n_bytes // dtype.itemsize
    view = memoryview(received).cast("B")
    try:
        values = _fitting(chosen, dtype, n_elements).decode(view, dtype, n_elements)
    except FrameError as exc:
        raise FrameError(
            f"Tensor {spec.name!r} ({spec.dtype} {spec.shape}) cannot be decoded from {len(view)} bytes of {codec}: "
            f"{exc}"
        ) from exc
    return values.reshape(spec.shape)


def _find(name: str) -> _Codec:
    codec = _CODECS.get(name)
    if codec is None or not codec.is_available():
        remedy = f"want one of {', '.join(CODECS)}" if codec is None else "install splitfront[compression] here"
        raise CodecMissingError(
            f"There is no codec {name!r} on this machine, which has {', '.join(available_codecs())}: {remedy}."
        )
    return codec


def _fitting(codec: _Codec, dtype: np.dtype, n_elements: int) -> _Codec:
    """The codec itself, or none at all for what it leaves alone."""
    is_left_alone = not codec.takes_all_types and dtype.name not in ("float32", "float64")
    return _RAW if n_elements == 0 or is_left_alone else codec
