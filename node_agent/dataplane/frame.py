"""Frames of the data plane as bytes and back, without copying tensors more than once.

On the wire a frame is the protobuf message `Frame`, so that any gRPC client can read it. protobuf itself would copy the
payload several times; here it is written once, and reading gives views of the received bytes.
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from google.protobuf.message import DecodeError

from node_agent import wire_codec
from node_agent.dataplane import envelope
from node_agent.dataplane.encoded import Buffer, EncodedFrame
from node_agent.element_types import DTYPES, tensor_bytes, type_name
from node_agent.errors import FrameError
from node_agent.messages import ErrorFrame, Frame, LinkEmulation, ProbeFrame, StageTrace, SubscribeFrame, TensorFrame
from node_agent.wire import agent_pb2

_Spec = tuple[str, str, tuple[int, ...]]
"""Name, element type and shape of a tensor."""

_REQUEST_TAG = b"\x20"
_TRACE_TAG = b"\x3a"
"""Of `FrameHeader.request` and `FrameHeader.trace`."""
_NO_TIME = b"\x29" + bytes(8)
"""`StageTrace.encode_seconds` with room for a double."""

_REMEMBERED_BYTES = 4096
"""The tensors that a header announces are remembered up to this size: no peer can make a node remember more."""


def encode(frame: Frame) -> EncodedFrame:
    """The frame, ready to be written.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    if isinstance(frame, TensorFrame):
        tensors = [_bytes_of(*tensor) for tensor in frame.tensors]
        return EncodedFrame(b"".join((_tensor_header(frame), *map(_trace_element, frame.trace))), tensors)
    if isinstance(frame, ProbeFrame):
        return EncodedFrame(_probe_header(frame).SerializeToString(), [memoryview(frame.payload)])
    return EncodedFrame(_header(frame).SerializeToString(), [])


def encode_timed(frame: TensorFrame) -> EncodedFrame:
    """As `encode`; the last entry of the trace then says how long encoding took, until the frame was written.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    started = time.perf_counter()
    tensors = [_bytes_of(*tensor) for tensor in frame.tensors]
    *former, last = frame.trace
    header = (_tensor_header(frame), *map(_trace_element, former), _trace_element(last, is_open=True))
    return EncodedFrame(b"".join(header), tensors, started=started)


def _tensor_header(frame: TensorFrame) -> bytes:
    """The header of a frame, but for its trace. Fields may come in any order: what all requests share is first."""
    specs = tuple([(name, type_name(values.dtype), values.shape) for name, values in frame.tensors])
    shared = _shared_header(frame.deployment, frame.epoch, frame.stage, specs)
    return shared + _REQUEST_TAG + envelope.varint(frame.request)


@lru_cache(maxsize=256)
def _shared_header(deployment: str, epoch: int, stage: int, specs: tuple[_Spec, ...]) -> bytes:
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment=deployment, epoch=epoch, stage=stage)
    for name, dtype, shape in specs:
        header.tensors.add(name=name, dtype=dtype, shape=shape)
    return header.SerializeToString()


def _bytes_of(name: str, values: np.ndarray) -> memoryview:
    """A tensor's bytes, copied only if they do not lie in order."""
    dtype = DTYPES.get(type_name(values.dtype))
    if dtype is None:
        raise FrameError(f"Tensor {name!r} has elements of {values.dtype}: only {', '.join(DTYPES)} can travel.")
    if not values.flags.c_contiguous or values.dtype != dtype:
        values = np.ascontiguousarray(values, dtype=dtype)
    return values.reshape(-1).view(np.uint8).data


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
    header.error = frame.error
    header.message = frame.message
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
    """The frame in `received`; its arrays are read-only views of these bytes.

    Raises:
        FrameError: The bytes are no frame, or lengths, shapes and element types do not fit each other.
    """
    header_bytes, payload = envelope.open_up(received)
    try:
        header = agent_pb2.FrameHeader.FromString(header_bytes)
    except DecodeError as exc:
        raise FrameError(f"A frame of {len(received)} bytes has no readable header: {exc}.") from exc
    if header.kind == agent_pb2.FRAME_KIND_TENSORS:
        return _tensor_frame(header, payload, is_remembered=len(header_bytes) <= _REMEMBERED_BYTES)
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


def _tensor_frame(header: agent_pb2.FrameHeader, payload: memoryview, *, is_remembered: bool) -> TensorFrame:
    specs = tuple([(spec.name, spec.dtype, tuple(spec.shape)) for spec in header.tensors])
    sizes = (_sizes if is_remembered else _sizes.__wrapped__)(specs)
    return TensorFrame(
        deployment=header.deployment,
        epoch=header.epoch,
        request=header.request,
        stage=header.stage,
        tensors=tuple(_tensors(specs, sizes, payload)),
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


@lru_cache(maxsize=256)
def _sizes(specs: tuple[_Spec, ...]) -> tuple[int, ...]:
    """Bytes of each tensor that a header announces."""
    if len({name for name, _, _ in specs}) != len(specs):
        raise FrameError("A frame brings two tensors of the same name.")
    return tuple(tensor_bytes(*spec) for spec in specs)


def _tensors(specs: Sequence[_Spec], sizes: Sequence[int], payload: memoryview) -> Iterator[tuple[str, np.ndarray]]:
    """Views of the payload. All sizes are checked before the first view is made."""
    if sum(sizes) != len(payload):
        raise FrameError(f"A frame announces tensors of {sum(sizes)} bytes and brings {len(payload)}.")
    offset = 0
    for (name, dtype, shape), size in zip(specs, sizes, strict=True):
        yield name, np.ndarray(shape, DTYPES[dtype], payload, offset)
        offset += size
