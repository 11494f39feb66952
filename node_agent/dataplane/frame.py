"""Frames of the data plane as bytes and back, without copying tensors more than once.

On the wire a frame is the protobuf message `Frame`, so that any gRPC client can read it. protobuf itself would copy the
payload several times; here it is written once, and reading gives views of the received bytes.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from google.protobuf.message import DecodeError

from node_agent import codecs, wire_codec
from node_agent.dataplane import envelope, limits
from node_agent.dataplane.encoded import Buffer, EncodedFrame
from node_agent.dataplane.encoder import encode_tensors, trace_to_wire
from node_agent.element_types import DTYPES, tensor_bytes
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


def encode(frame: Frame) -> EncodedFrame:
    """The frame, ready to be written.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    if isinstance(frame, TensorFrame):
        return encode_tensors(frame)
    if isinstance(frame, ProbeFrame):
        return _encode_plain(_probe_header(frame), frame.payload)
    return _encode_plain(_header(frame))


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
    header.trace.extend(map(trace_to_wire, frame.trace))
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
