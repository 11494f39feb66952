"""Encoding frames of tensors: what those of a stream have in common is written once, and remembered."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from node_agent.dataplane import envelope
from node_agent.dataplane.encoded import EncodedFrame, Piece
from node_agent.element_types import DTYPES, type_name
from node_agent.errors import FrameError
from node_agent.messages import StageTrace, TensorFrame
from node_agent.wire import agent_pb2

Spec = tuple[str, np.dtype, tuple[int, ...]] | tuple[str, str, tuple[int, ...], str, int]
"""Name, element type and shape of an array; codec and travelling bytes as well where the tensor is coded."""

REQUEST_TAG = b"\x20"
_TRACE_TAG = b"\x3a"
"""Of `FrameHeader.request` and `FrameHeader.trace`."""
_ARRAY = np.ndarray
_TIME_BYTES = 8
_NO_TIME = b"\x29" + bytes(_TIME_BYTES)
"""`StageTrace.encode_seconds` with room for a double."""


def encode_timed(frame: TensorFrame, coding_seconds: float = 0.0) -> EncodedFrame:
    """As `encode_tensors`; the last entry of the trace then says how long encoding took, until the frame was written.

    Args:
        frame: To be written.
        coding_seconds: What was spent on its tensors before; told with it.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    return encode_tensors(frame, time.perf_counter() - coding_seconds)


def encode_tensors(frame: TensorFrame, started: float | None = None) -> EncodedFrame:
    """The frame, ready to be written; where encoding has `started` at a moment, see `encode_timed`.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    own = REQUEST_TAG + envelope.varint(frame.request)
    if frame.trace:
        last = _trace_element(frame.trace[-1], is_open=started is not None)
        own = b"".join((own, *map(_trace_element, frame.trace[:-1]), last))
    specs: list[Spec] = []
    pieces: list[Piece] = []
    for name, tensor in frame.tensors:
        if isinstance(tensor, _ARRAY):
            specs.append((name, tensor.dtype, tensor.shape))
            pieces.append(tensor if tensor.flags.c_contiguous else tensor.copy())
        else:
            specs.append((name, tensor.dtype, tensor.shape, tensor.codec, len(tensor.content)))
            pieces.append(tensor.content)
    layout = _layout(frame.deployment, frame.epoch, frame.stage, len(own), *specs)
    if not layout.is_native:
        pieces = [_in_order(piece) if isinstance(piece, np.ndarray) else piece for piece in pieces]
    opening = layout.before + own + layout.after
    if started is None:
        return EncodedFrame(opening, pieces, layout.n_bytes)
    return EncodedFrame(opening, pieces, layout.n_bytes, (started, len(layout.before) + len(own) - _TIME_BYTES))


def _in_order(values: np.ndarray) -> np.ndarray:
    return values.astype(DTYPES[type_name(values.dtype)], copy=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What frames of a stream share: the bytes before and after a request's own, and the size of all."""

    before: bytes
    after: bytes
    n_bytes: int
    is_native: bool
    """Whether all arrays have the order of bytes in which they travel."""


@lru_cache(maxsize=256)
def _layout(deployment: str, epoch: int, stage: int, n_own: int, *specs: Spec) -> _Layout:
    """Of frames with `n_own` bytes of a request's own.

    Fields of a protobuf message may come in any order: those that are shared come first.
    """
    shared = shared_header(deployment, epoch, stage, specs)
    n_payload = sum(map(_travelling_bytes, specs))
    opening, header_stop = envelope.opening(shared + bytes(n_own), n_payload)
    return _Layout(
        before=opening[: header_stop - n_own],
        after=opening[header_stop:],
        n_bytes=len(opening) + n_payload,
        is_native=all(len(spec) == 5 or spec[1] == DTYPES[type_name(spec[1])] for spec in specs),
    )


def _travelling_bytes(spec: Spec) -> int:
    if len(spec) == 5:
        return spec[4]
    name, dtype, shape = spec
    if type_name(dtype) not in DTYPES:
        raise FrameError(f"Tensor {name!r} has elements of {dtype}: only {', '.join(DTYPES)} can travel.")
    return math.prod(shape) * dtype.itemsize


def shared_header(deployment: str, epoch: int, stage: int, specs: Iterable[Spec]) -> bytes:
    """The part of a header that all frames of a stream share; an encoder writes it first."""
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment=deployment, epoch=epoch, stage=stage)
    for spec in specs:
        if len(spec) == 5:
            name, dtype, shape, codec, n_bytes = spec
            header.tensors.add(name=name, dtype=dtype, shape=shape, codec=codec, n_bytes=n_bytes)
        else:
            header.tensors.add(name=spec[0], dtype=type_name(spec[1]), shape=spec[2])
    return header.SerializeToString()


def _trace_element(trace: StageTrace, *, is_open: bool = False) -> bytes:
    """One entry of the trace; an open one ends with eight bytes for the time of encoding."""
    message = trace_to_wire(trace)
    if is_open:
        message.ClearField("encode_seconds")
    content = message.SerializeToString() + (_NO_TIME if is_open else b"")
    return _TRACE_TAG + envelope.varint(len(content)) + content


def trace_to_wire(trace: StageTrace) -> agent_pb2.StageTrace:
    """As protobuf has it."""
    return agent_pb2.StageTrace(
        stage=trace.stage,
        queue_seconds=trace.queue_seconds,
        decode_seconds=trace.decode_seconds,
        compute_seconds=trace.compute_seconds,
        encode_seconds=trace.encode_seconds,
    )
