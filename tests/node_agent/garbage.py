"""Frames that no client of ours would send: malformed, truncated, oversized, out of place."""

import numpy as np
from hypothesis import strategies as st

from node_agent.codecs import encode as encode_tensor
from node_agent.dataplane import frame
from node_agent.messages import ErrorFrame, LinkEmulation, ProbeFrame, SubscribeFrame, TensorFrame
from node_agent.wire import agent_pb2

DEPLOYMENT = "healthy"
MAX_MESSAGE_BYTES = 2 << 20
"""Of the agent under test."""

_numbers = st.one_of(st.integers(0, 3), st.sampled_from((2**31, 2**32 - 1)))
_long_numbers = st.one_of(st.integers(0, 3), st.sampled_from((2**32, 2**63, 2**64 - 1)))
_sizes = st.one_of(st.integers(0, 40), st.sampled_from((-1, -(2**63), 2**31, 2**62, 2**63 - 1)))
_shapes = st.lists(_sizes, max_size=4) | st.just([1] * 65) | st.just([0, 2**62]) | st.just([2**62, 2**62])
_dtypes = st.sampled_from(("float32", "int8", "bool", "complex128", "", "object", "<f4", "float32\0", "O" * 5000))
_names = st.sampled_from(("x", "y", "", "x" * 50_000, "\0", "é")) | st.text(max_size=8)
_floats = st.sampled_from((0.0, 0.001, -1.0, 1e300, float("nan"), float("inf")))


_codecs = st.sampled_from(("", "", "zstd", "lz4", "int8", "float16", "gzip", "c" * 5000))


def _tensor(name, dtype, shape, codec, n_bytes):
    return agent_pb2.FrameTensor(name=name, dtype=dtype, shape=shape, codec=codec, n_bytes=n_bytes)


_tensors = st.lists(st.builds(_tensor, _names, _dtypes, _shapes, _codecs, _long_numbers), max_size=4)
_many_tensors = st.sampled_from((100, 5000)).map(lambda n: [agent_pb2.FrameTensor()] * n)
_traces = st.sampled_from((0, 0, 1, 100, 50_000)).flatmap(
    lambda n: _floats.map(lambda seconds: [agent_pb2.StageTrace(compute_seconds=seconds)] * n)
)
_deployments = st.sampled_from((DEPLOYMENT, "nobody", "", "d" * 300_000))


def _header(kind, deployment, **fields):
    """No subscription that would be taken: it is not garbage, and would take the results from whom they belong to."""
    is_taken = (kind, deployment) == (agent_pb2.FRAME_KIND_SUBSCRIBE, DEPLOYMENT)
    return agent_pb2.FrameHeader(kind=kind, deployment="nobody" if is_taken else deployment, **fields)


_headers = st.builds(
    _header,
    kind=st.integers(0, 6),
    deployment=_deployments,
    epoch=st.just(1) | _long_numbers,
    request=_long_numbers,
    stage=_numbers,
    tensors=_tensors | _many_tensors,
    trace=_traces,
    error=_names,
    message=_names,
    answer_bytes=_long_numbers,
    n_answers=_numbers,
)


def _written(sent):
    return frame.encode(sent).joined()


def _enveloped(header: bytes, payload: bytes) -> bytes:
    """As protobuf writes it, whatever `header` is."""
    return b"\x0a" + _varint(len(header)) + header + b"\x12" + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value >> 7:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def healthy_frame(request: int, values=b"") -> bytes:
    """What the stage under test computes with, or its header with another payload."""
    header = agent_pb2.FrameHeader(
        kind=agent_pb2.FRAME_KIND_TENSORS, deployment=DEPLOYMENT, epoch=1, request=request, stage=0
    )
    header.tensors.add(name="x", dtype="float32", shape=(2, 32))
    return _enveloped(header.SerializeToString(), values or bytes(256))


def _coded_frame(codec, content):
    """Says that it holds what the stage wants, in a codec."""
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment=DEPLOYMENT, epoch=1, request=2**33)
    header.tensors.add(name="x", dtype="float32", shape=(2, 32), codec=codec, n_bytes=len(content))
    return _enveloped(header.SerializeToString(), content)


def _contents_of(codec):
    """What the codec makes of zeroes, too many of them, parts of that, and what it never made."""
    contents = [bytes(encode_tensor(codec, np.zeros(n, np.float32))) for n in (64, 1 << 18)]
    made = st.sampled_from(contents)
    altered = st.builds(
        lambda content, place: content[:place] + b"\xff" + content[place + 1 :], made, st.integers(0, 40)
    )
    return st.tuples(st.just(codec), made | altered | st.binary(max_size=100))


_coded = st.sampled_from(("zstd", "lz4", "int8", "float16")).flatmap(_contents_of).map(lambda pair: _coded_frame(*pair))
_payloads = st.binary(max_size=300) | st.sampled_from((bytes(256), bytes(10_000)))
_well_formed = st.one_of(
    st.integers(2**32, 2**33).map(healthy_frame),
    st.just(_written(ProbeFrame(request=1, payload=b"abc", n_answers=1))),
    st.just(_written(ProbeFrame(request=1, payload=b"", n_answers=1, answer_bytes=2**20))),
    st.just(_written(ProbeFrame(request=1, payload=b"", n_answers=2**20))),
    st.just(_written(SubscribeFrame(deployment="nobody", epoch=1))),
    st.just(_written(TensorFrame(deployment="nobody", epoch=1, request=0, stage=3, tensors=()))),
    st.just(_written(TensorFrame(deployment=DEPLOYMENT, epoch=1, request=2**33, stage=0, tensors=()))),
    st.just(
        _written(ErrorFrame(deployment=DEPLOYMENT, epoch=1, request=2**33, stage=0, error="é", message="m" * 60_000))
    ),
)


_crowded = st.builds(
    lambda entry, n_bytes: _enveloped(b"\x08\x01" + entry * (n_bytes // 2), b""),
    st.sampled_from((b"\x32\x00", b"\x3a\x00")),  # a tensor, a trace
    st.sampled_from((100_000, 131_000, MAX_MESSAGE_BYTES - 100)),
)
_bad_links = st.builds(
    lambda link: _written(ProbeFrame(request=1, payload=b"", link_back=link)),
    st.builds(
        LinkEmulation,
        delay_seconds=st.sampled_from((-1.0, 1e300, float("nan"))),
        bytes_per_second=st.sampled_from((0.0, 1e-300, -1.0)),
        loss=st.sampled_from((0.0, 1 - 2**-53)),
    ),
)


@st.composite
def _truncated(draw):
    frame = draw(_well_formed)
    return frame[: draw(st.integers(0, len(frame)))]


@st.composite
def _altered(draw):
    frame = bytearray(draw(_well_formed))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(frame), 200) - 1))
        frame[place] = draw(st.integers(0, 255))
    return bytes(frame)


@st.composite
def _reordered(draw):
    """Halves of two frames, the wrong way round, or parts of one twice."""
    first, second = draw(_well_formed), draw(_well_formed)
    place = draw(st.integers(1, 60))
    return draw(st.sampled_from((second[place:] + first[:place], first[:place] * 3, first + second)))


_announced = st.builds(
    lambda tag, length, rest: bytes((tag,)) + length + rest,
    st.sampled_from((0x0A, 0x12, 0x0B, 0x5A)),
    st.sampled_from((_varint(2**31), _varint(2**34), _varint(2**63), b"\xff" * 10, b"\x80" * 5, b"\x80\x00")),
    st.binary(max_size=20),
)
_not_text = st.builds(
    lambda header: _enveloped(header.SerializeToString().replace(b"nobody", b"\xff\xfe\xfdody"), b""),
    st.builds(agent_pb2.FrameHeader, kind=st.integers(1, 4), deployment=st.just("nobody")),
)
_oversized = st.integers(0, 3).map(lambda n: healthy_frame(0, bytes(MAX_MESSAGE_BYTES + n)))
_nearly_oversized = st.sampled_from((healthy_frame(0, bytes(MAX_MESSAGE_BYTES - 2000)), bytes(MAX_MESSAGE_BYTES - 1)))

garbage = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=100).map(lambda rest: b"\x0a" + rest),
    st.builds(lambda header, payload: _enveloped(header.SerializeToString(), payload), _headers, _payloads),
    _truncated(),
    _altered(),
    _reordered(),
    _announced,
    _not_text,
    _bad_links,
    _crowded,
    _coded,
    _nearly_oversized,
    _oversized,
)
"""One frame of it; some of it may be well-formed by chance."""

streams = st.lists(st.one_of(garbage, _well_formed), min_size=1, max_size=5)
"""Frames of one stream."""
