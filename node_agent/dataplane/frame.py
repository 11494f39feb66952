"""Frames of the data plane as bytes and back, without copying tensors more than once.

On the wire a frame is the protobuf message `Frame`, so that any gRPC client can read it. protobuf itself would copy the
payload several times; here it is written once, and reading gives views of the received bytes.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
from google.protobuf.message import DecodeError

from node_agent import codecs, wire_codec
from node_agent.dataplane import envelope, limits
from node_agent.dataplane.encoded import Buffer, EncodedFrame, Piece
from node_agent.element_types import DTYPES, tensor_bytes, type_name
from node_agent.errors import FrameError
from node_agent.messages import (
    CodedTensor,
    ErrorFrame,
    Frame,
    LinkEmulation,
    ProbeFrame,
    StageTrace,
    SubscribeFrame,
    TensorFrame,
)
from node_agent.wire import agent_pb2

Spec = tuple[str, str, tuple[int, ...], str, int]
"""Name, element type, shape and codec of a tensor, and how many bytes of it travel; no codec is an empty name."""

_REQUEST_TAG = b"\x20"
_TRACE_TAG = b"\x3a"
"""Of `FrameHeader.request` and `FrameHeader.trace`."""
_TIME_BYTES = 8
_NO_TIME = b"\x29" + bytes(_TIME_BYTES)
"""`StageTrace.encode_seconds` with room for a double."""


def encode(frame: Frame) -> EncodedFrame:
    """The frame, ready to be written.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    if isinstance(frame, TensorFrame):
        return _encode_tensors(frame, [_trace_element(trace) for trace in frame.trace])
    if isinstance(frame, ProbeFrame):
        return _encode_plain(_probe_header(frame), frame.payload)
    return _encode_plain(_header(frame))


def encode_timed(frame: TensorFrame, coding_seconds: float = 0.0) -> EncodedFrame:
    """As `encode`; the last entry of the trace then says how long encoding took, until the frame was written.

    Args:
        frame: To be written.
        coding_seconds: What was spent on its tensors before; told with it.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    started = time.perf_counter() - coding_seconds
    traces = [_trace_element(trace) for trace in frame.trace[:-1]]
    traces.append(_trace_element(frame.trace[-1], is_open=True))
    return _encode_tensors(frame, traces, started)


def with_codec(frame: TensorFrame, codec: str) -> TensorFrame:
    """The frame with its tensors as a codec leaves them.

    Raises:
        CodecMissingError: No codec of this name here.
        FrameError: A tensor has an element type that cannot travel.
    """
    tensors = tuple(
        (
            name,
            CodedTensor(codec=codec, dtype=values.dtype.name, shape=values.shape, content=codecs.encode(codec, values)),
        )
        for name, values in frame.tensors
        if isinstance(values, np.ndarray)
    )
    return replace(frame, tensors=tensors)


def _encode_plain(header: agent_pb2.FrameHeader, payload: Buffer = b"") -> EncodedFrame:
    opening, _ = envelope.opening(header.SerializeToString(), len(payload))
    return EncodedFrame(opening, (payload,), len(opening) + len(payload))


def _encode_tensors(frame: TensorFrame, traces: list[bytes], started: float | None = None) -> EncodedFrame:
    """Where `started` is given, the traces end with room for a time."""
    own = b"".join((_REQUEST_TAG, envelope.varint(frame.request), *traces))
    specs: list[Spec] = []
    pieces: list[Piece] = []
    for name, tensor in frame.tensors:
        if isinstance(tensor, CodedTensor):
            specs.append((name, tensor.dtype, tensor.shape, tensor.codec, len(tensor.content)))
            pieces.append(tensor.content)
        else:
            values = _in_order(name, tensor)
            specs.append((name, type_name(values.dtype), values.shape, "", values.nbytes))
            pieces.append(values)
    before, after, n_bytes = _shared_opening(frame.deployment, frame.epoch, frame.stage, tuple(specs), len(own))
    time_at = None if started is None else len(before) + len(own) - _TIME_BYTES
    return EncodedFrame(before + own + after, pieces, n_bytes, started=started or 0.0, time_at=time_at)


def _in_order(name: str, values: np.ndarray) -> np.ndarray:
    """The tensor, copied only if its bytes do not lie in order."""
    dtype = DTYPES.get(type_name(values.dtype))
    if dtype is None:
        raise FrameError(f"Tensor {name!r} has elements of {values.dtype}: only {', '.join(DTYPES)} can travel.")
    if values.flags.c_contiguous and values.dtype == dtype:
        return values
    return np.ascontiguousarray(values, dtype=dtype)


@lru_cache(maxsize=256)
def _shared_opening(
    deployment: str, epoch: int, stage: int, specs: tuple[Spec, ...], n_own: int
) -> tuple[bytes, bytes, int]:
    """What all frames of a stream share: bytes before and after the `n_own` bytes of a request's own; the frame's size.

    Fields of a protobuf message may come in any order: those that are shared come first.
    """
    shared = shared_header(deployment, epoch, stage, specs)
    n_payload = sum(n_bytes for *_, n_bytes in specs)
    opening, header_stop = envelope.opening(shared + bytes(n_own), n_payload)
    return opening[: header_stop - n_own], opening[header_stop:], len(opening) + n_payload


def shared_header(deployment: str, epoch: int, stage: int, specs: tuple[Spec, ...]) -> bytes:
    """The part of a header that all frames of a stream share; `encode` writes it first."""
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment=deployment, epoch=epoch, stage=stage)
    for name, dtype, shape, codec, n_bytes in specs:
        header.tensors.add(name=name, dtype=dtype, shape=shape, codec=codec, n_bytes=n_bytes if codec else 0)
    return header.SerializeToString()


def _trace_element(trace: StageTrace, *, is_open: bool = False) -> bytes:
    """One entry of the trace; an open one ends with eight bytes for the time of encoding."""
    message = _trace_to_wire(trace)
    if is_open:
        message.ClearField("encode_seconds")
    content = message.SerializeToString() + (_NO_TIME if is_open else b"")
    return _TRACE_TAG + envelope.varint(len(content)) + content


def _header(frame: ErrorFrame | SubscribeFrame) -> agent_pb2.FrameHeader:
    """Of a frame without a payload."""
    header = agent_pb2.FrameHeader(deployment=frame.deployment, epoch=frame.epoch)
    if isinstance(frame, SubscribeFrame):
        header.kind = agent_pb2.FRAME_KIND_SUBSCRIBE
        if frame.link_back is not None:
            header.link_back.CopyFrom(wire_codec.to_wire(frame.link_back))
        return header
    header.kind = agent_pb2.FRAME_KIND_ERROR
    header.request = frame.request
    header.stage = frame.stage
    header.error = limits.shortened(frame.error)
    header.message = limits.shortened(frame.message, limits.MAX_ERROR_CHARACTERS)
    header.trace.extend(map(_trace_to_wire, frame.trace))
    return header


def _probe_header(frame: ProbeFrame) -> agent_pb2.FrameHeader:
    header = agent_pb2.FrameHeader(
        kind=agent_pb2.FRAME_KIND_PROBE,
        request=frame.request,
        answer_bytes=frame.answer_bytes,
        n_answers=frame.n_answers,
    )
    if frame.link_back is not None:
        header.link_back.CopyFrom(wire_codec.to_wire(frame.link_back))
    return header


def _trace_to_wire(trace: StageTrace) -> agent_pb2.StageTrace:
    return agent_pb2.StageTrace(
        stage=trace.stage,
        queue_seconds=trace.queue_seconds,
        decode_seconds=trace.decode_seconds,
        compute_seconds=trace.compute_seconds,
        encode_seconds=trace.encode_seconds,
    )


def decode(received: Buffer) -> Frame:
    """The frame in `received`; its arrays are read-only views of these bytes, and coded tensors are left as they are.

    Raises:
        FrameError: The bytes are no frame, or lengths, shapes and element types do not fit each other.
    """
    header_bytes, payload = envelope.open_up(received)
    try:
        header = agent_pb2.FrameHeader.FromString(header_bytes)
    except DecodeError as exc:
        raise FrameError(f"A frame of {len(received)} bytes has no readable header: {exc}.") from exc
    limits.check_counts(header)
    if header.kind == agent_pb2.FRAME_KIND_TENSORS:
        return _tensor_frame(header, payload)
    if header.kind == agent_pb2.FRAME_KIND_PROBE:
        return ProbeFrame(
            request=header.request,
            payload=payload,
            link_back=_link_back(header),
            answer_bytes=header.answer_bytes,
            n_answers=header.n_answers,
        )
    if len(payload):
        raise FrameError(f"A frame of kind {header.kind} has a payload of {len(payload)} bytes: want none.")
    if header.kind == agent_pb2.FRAME_KIND_SUBSCRIBE:
        return SubscribeFrame(deployment=header.deployment, epoch=header.epoch, link_back=_link_back(header))
    if header.kind == agent_pb2.FRAME_KIND_ERROR:
        return _error_frame(header)
    raise FrameError(f"A frame has the unknown kind {header.kind}: want tensors, error, probe or subscribe.")


def _tensor_frame(header: agent_pb2.FrameHeader, payload: memoryview) -> TensorFrame:
    return TensorFrame(
        deployment=header.deployment,
        epoch=header.epoch,
        request=header.request,
        stage=header.stage,
        tensors=tuple(_tensors(header, payload)),
        trace=_trace_from_wire(header),
    )


def _error_frame(header: agent_pb2.FrameHeader) -> ErrorFrame:
    return ErrorFrame(
        deployment=header.deployment,
        epoch=header.epoch,
        request=header.request,
        stage=header.stage,
        error=header.error,
        message=header.message,
        trace=_trace_from_wire(header),
    )


def read_own(own: bytes) -> tuple[int, tuple[StageTrace, ...]] | None:
    """Request and trace, where that is all that the part of a header says which frames of a stream do not share."""
    try:
        header = agent_pb2.FrameHeader.FromString(own)
    except DecodeError:
        return None
    if header.kind or header.deployment or header.epoch or header.stage or header.tensors:
        return None
    return header.request, _trace_from_wire(header) if header.trace else ()


def _trace_from_wire(header: agent_pb2.FrameHeader) -> tuple[StageTrace, ...]:
    return tuple(
        StageTrace(
            stage=trace.stage,
            queue_seconds=trace.queue_seconds,
            decode_seconds=trace.decode_seconds,
            compute_seconds=trace.compute_seconds,
            encode_seconds=trace.encode_seconds,
        )
        for trace in header.trace
    )


def _link_back(header: agent_pb2.FrameHeader) -> LinkEmulation | None:
    if not header.HasField("link_back"):
        return None
    link: LinkEmulation = wire_codec.from_wire(header.link_back)
    return link


def _tensors(header: agent_pb2.FrameHeader, payload: memoryview) -> Iterator[tuple[str, np.ndarray | CodedTensor]]:
    """Views of the payload. All sizes are checked before the first view is made."""
    sizes = [_travelling_bytes(spec) for spec in header.tensors]
    if sum(sizes) != len(payload):
        raise FrameError(f"A frame announces tensors of {sum(sizes)} bytes and brings {len(payload)}.")
    if len({spec.name for spec in header.tensors}) != len(sizes):
        raise FrameError("A frame brings two tensors of the same name.")
    offset = 0
    for spec, size in zip(header.tensors, sizes, strict=True):
        yield spec.name, _tensor(spec, payload[offset : offset + size])
        offset += size


def _travelling_bytes(spec: agent_pb2.FrameTensor) -> int:
    plain = tensor_bytes(spec.name, spec.dtype, spec.shape)
    return spec.n_bytes if spec.codec else plain


def _tensor(spec: agent_pb2.FrameTensor, content: memoryview) -> np.ndarray | CodedTensor:
    shape = tuple(spec.shape)
    if spec.codec:
        return CodedTensor(codec=spec.codec, dtype=spec.dtype, shape=shape, content=content)
    return np.ndarray(shape, DTYPES[spec.dtype], content)
