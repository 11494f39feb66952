"""Frames of the data plane as bytes and back, without copying tensors more than once.

On the wire a frame is the protobuf message `Frame`, so that any gRPC client can read it. protobuf itself would copy the
payload several times; here it is written once, and reading gives views of the received bytes.
"""

import io
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from google.protobuf.message import DecodeError

from node_agent import codecs, wire_codec
from node_agent.dataplane import envelope, limits
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


def encode(frame: Frame) -> bytes:
    """The frame as bytes.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    header, pieces = _take_apart(frame)
    return _write(header, pieces).getvalue()


def encode_timed(frame: TensorFrame, coding_seconds: float = 0.0) -> bytes:
    """As `encode`; the last entry of the trace then says how long that took.

    Args:
        frame: To be written.
        coding_seconds: What was spent on its tensors before; told with it.

    Raises:
        FrameError: A tensor has an element type that cannot travel.
    """
    started = time.perf_counter() - coding_seconds
    traces = (*frame.trace[:-1], replace(frame.trace[-1], encode_seconds=1.0))
    header, pieces = _take_apart(replace(frame, trace=traces))
    buffer = _write(header, pieces)
    # A double is eight bytes unless it is zero, so that the header keeps its length.
    header.trace[-1].encode_seconds = max(time.perf_counter() - started, 1e-9)
    buffer.seek(0)
    buffer.write(envelope.opening(header.SerializeToString(), sum(map(len, pieces))))
    return buffer.getvalue()


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


def _write(header: agent_pb2.FrameHeader, pieces: list[memoryview]) -> io.BytesIO:
    """A buffer with the frame; `getvalue` hands its bytes out without another copy."""
    buffer = io.BytesIO()
    buffer.write(envelope.opening(header.SerializeToString(), sum(map(len, pieces))))
    for piece in pieces:
        buffer.write(piece)
    return buffer


def _take_apart(frame: Frame) -> tuple[agent_pb2.FrameHeader, list[memoryview]]:
    """Header and payload; the payload's pieces are views of the frame's tensors."""
    if isinstance(frame, ProbeFrame):
        return _probe_header(frame), [memoryview(frame.payload)]
    header = agent_pb2.FrameHeader(deployment=frame.deployment, epoch=frame.epoch)
    if isinstance(frame, SubscribeFrame):
        header.kind = agent_pb2.FRAME_KIND_SUBSCRIBE
        if frame.link_back is not None:
            header.link_back.CopyFrom(wire_codec.to_wire(frame.link_back))
        return header, []
    header.request = frame.request
    header.stage = frame.stage
    for trace in frame.trace:
        header.trace.append(_trace_to_wire(trace))
    if isinstance(frame, ErrorFrame):
        header.kind = agent_pb2.FRAME_KIND_ERROR
        header.error = limits.shortened(frame.error)
        header.message = limits.shortened(frame.message, limits.MAX_ERROR_CHARACTERS)
        return header, []
    header.kind = agent_pb2.FRAME_KIND_TENSORS
    return header, [
        _add_coded(header, name, tensor) if isinstance(tensor, CodedTensor) else _add_tensor(header, name, tensor)
        for name, tensor in frame.tensors
    ]


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


def _add_tensor(header: agent_pb2.FrameHeader, name: str, values: np.ndarray) -> memoryview:
    """Announces the tensor in the header and gives its bytes, copied only if they do not lie in order."""
    dtype = DTYPES.get(values.dtype.name)
    if dtype is None:
        raise FrameError(f"Tensor {name!r} has elements of {values.dtype}: only {', '.join(DTYPES)} can travel.")
    header.tensors.add(name=name, dtype=values.dtype.name, shape=values.shape)
    return np.ascontiguousarray(values, dtype=dtype).reshape(-1).view(np.uint8).data


def _add_coded(header: agent_pb2.FrameHeader, name: str, tensor: CodedTensor) -> memoryview:
    header.tensors.add(
        name=name, dtype=tensor.dtype, shape=tensor.shape, codec=tensor.codec, n_bytes=len(tensor.content)
    )
    return tensor.content


def decode(received: bytes) -> Frame:
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
    values = np.frombuffer(content, DTYPES[spec.dtype]) if content else _nothing(spec)
    return values.reshape(shape)


def _nothing(spec: agent_pb2.FrameTensor) -> np.ndarray:
    empty = np.empty(0, DTYPES[spec.dtype])
    empty.flags.writeable = False
    return empty
