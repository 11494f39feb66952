import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.dataplane import encoder, envelope
from node_agent.dataplane import frame as frames
from node_agent.dataplane.frame import decode
from node_agent.element_types import DTYPES
from node_agent.errors import FrameError
from node_agent.messages import ErrorFrame, LinkEmulation, ProbeFrame, StageTrace, SubscribeFrame, TensorFrame
from node_agent.wire import agent_pb2

TRACE = StageTrace(stage=1, queue_seconds=0.25, decode_seconds=0.0, compute_seconds=2.0, encode_seconds=0.5)
LINK = LinkEmulation(delay_seconds=0.01, jitter_seconds=0.001, bytes_per_second=1e6, loss=0.01, seed=7)


def encode(frame):
    return frames.encode(frame).joined()


def encode_timed(frame):
    return encoder.encode_timed(frame).joined()


def frame_of(*tensors: np.ndarray, trace: tuple[StageTrace, ...] = ()) -> TensorFrame:
    named = tuple((f"t{index}", values) for index, values in enumerate(tensors))
    return TensorFrame(deployment="d", epoch=3, request=2**40, stage=2, tensors=named, trace=trace)


def assert_same(found: TensorFrame, wanted: TensorFrame) -> None:
    assert (found.deployment, found.epoch, found.request, found.stage, found.trace) == (
        wanted.deployment,
        wanted.epoch,
        wanted.request,
        wanted.stage,
        wanted.trace,
    )
    assert [name for name, _ in found.tensors] == [name for name, _ in wanted.tensors]
    for (_, ours), (_, theirs) in zip(found.tensors, wanted.tensors, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", DTYPES)
def test_every_element_type_survives(name):
    values = np.arange(24).reshape(2, 3, 4).astype(name)
    assert_same(decode(encode(frame_of(values))), frame_of(values))


def test_shapes_at_the_rim_survive():
    tensors = (np.array(1.5, np.float16), np.zeros((0, 3)), np.ones(1, bool), np.arange(5), np.zeros((2, 0, 4), "i1"))
    frame = frame_of(*tensors, trace=(TRACE, TRACE))
    assert_same(decode(encode(frame)), frame)
    assert_same(decode(encode(frame_of())), frame_of())


def test_views_in_another_order_are_sent_in_c_order():
    values = np.arange(24, dtype=np.int32).reshape(4, 6)
    frame = frame_of(values.T, values[::2, ::3], values.astype(">i4"))
    decoded = decode(encode(frame))
    np.testing.assert_array_equal(decoded.tensors[0][1], values.T)
    np.testing.assert_array_equal(decoded.tensors[1][1], values[::2, ::3])
    np.testing.assert_array_equal(decoded.tensors[2][1], values)


@pytest.mark.parametrize(
    "frame",
    [
        frame_of(np.arange(7, dtype=np.int8), np.ones((2, 2)), trace=(TRACE,)),
        ErrorFrame(deployment="d", epoch=1, request=5, stage=3, error="FrameError", message="ü", trace=(TRACE,)),
        ProbeFrame(request=4, payload=b"x" * 300, link_back=LINK),
        ProbeFrame(request=0, payload=b""),
        ProbeFrame(request=2, payload=b"", answer_bytes=5, n_answers=0),
        SubscribeFrame(deployment="d", epoch=2, link_back=LINK),
        SubscribeFrame(deployment="d", epoch=2),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_protobuf_reads_ours_and_we_read_protobuf(frame):
    encoded = encode(frame)
    message = agent_pb2.Frame.FromString(encoded)
    message.header.ClearField("padding")
    again = decode(message.SerializeToString())
    for found in (decode(encoded), again):
        if isinstance(frame, TensorFrame):
            assert_same(found, frame)
        else:
            assert found == frame


@pytest.mark.parametrize("n_name", [*range(40), 100, 110, 120, 127, 128, 129, 200, 16_370, 16_384])
@pytest.mark.parametrize("n_values", [0, 1, 40, 5000])
def test_payload_starts_at_a_multiple_of_sixteen(n_name, n_values):
    header = agent_pb2.FrameHeader(deployment="n" * n_name).SerializeToString()
    opening, header_stop = envelope.opening(header, n_values)
    assert len(opening) % 16 == 0
    assert opening[:header_stop].endswith(header)
    message = agent_pb2.Frame.FromString(opening + bytes(n_values))
    assert message.header.deployment == "n" * n_name
    assert len(message.payload) == n_values


def test_decoding_copies_nothing_and_protects_the_bytes():
    encoded = encode(frame_of(np.arange(1000, dtype=np.float32), np.arange(3, dtype=np.int64)))
    first, second = (values for _, values in decode(encoded).tensors)
    whole = np.frombuffer(encoded, np.uint8)
    assert np.shares_memory(first, whole)
    assert np.shares_memory(second, whole)
    assert first.flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_encoding_copies_once():
    values = np.zeros(8 << 20, np.uint8)
    frame = frame_of(values, trace=(TRACE,))
    encode_timed(frame)
    tracemalloc.start()
    encoded = encode_timed(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(encoded) > values.nbytes
    assert peak < 1.2 * values.nbytes


def test_timed_encoding_fills_in_its_own_time_only():
    frame = frame_of(np.zeros(1 << 20, np.float32), trace=(TRACE, TRACE))
    decoded = decode(encode_timed(frame))
    assert decoded.trace[0] == TRACE
    assert 0 < decoded.trace[1].encode_seconds < 0.5
    assert decoded.trace[1].encode_seconds != TRACE.encode_seconds
    np.testing.assert_array_equal(decoded.tensors[0][1], frame.tensors[0][1])


def wire_frame(payload: bytes, **tensor: object) -> bytes:
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment="d")
    header.tensors.add(**{"name": "x", "dtype": "float32", "shape": (2,)} | tensor)
    return agent_pb2.Frame(header=header, payload=payload).SerializeToString()


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (b"", "no frame"),
        (b"GET / HTTP/1.1\r\n", "no frame"),
        (b"\x0a", "cut off"),
        (b"\x0a\x05ab", "cut off"),
        (b"\x0a\xff\xff\xff\xff\xff\xff", "wrong length"),
        (b"\x0a\x02\xff\xff", "no readable header"),
        (b"\x0a\x00\x1a\x00", "something else than a payload"),
        (b"\x0a\x00\x12\x01a+", "bytes after its payload"),
        (b"\x0a\x00", "unknown kind"),
        (wire_frame(bytes(7)), "announces tensors of 8 bytes and brings 7"),
        (wire_frame(bytes(8), dtype="object"), "elements of 'object'"),
        (wire_frame(bytes(8), dtype="<f4"), "elements of '<f4'"),
        (wire_frame(bytes(8), shape=(-2, -1)), "impossible shape"),
        (wire_frame(bytes(8), shape=(1 << 62, 1 << 62)), "more bytes than can be counted"),
        (wire_frame(b"", shape=(0, 1 << 62)), "more bytes than can be counted"),
        (wire_frame(b"", shape=(1 << 40,)), "announces tensors of 4398046511104 bytes and brings 0"),
        (wire_frame(b"", dtype="x" * 100_000), "elements of 'x+'"),
        (wire_frame(b"", name="n" * 300_000), "header of 3000.. bytes: at most 131072"),
        (wire_frame(b"", shape=[1] * 65), "impossible shape"),
    ],
)
def test_malformed_frames_say_what_is_wrong(received, message):
    with pytest.raises(FrameError, match=message):
        decode(received)


def test_two_tensors_of_one_name_are_refused():
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS)
    for _ in range(2):
        header.tensors.add(name="x", dtype="int8", shape=(1,))
    with pytest.raises(FrameError, match="same name"):
        decode(agent_pb2.Frame(header=header, payload=b"ab").SerializeToString())


def test_every_truncation_is_noticed():
    encoded = encode(frame_of(np.arange(20, dtype=np.int16), trace=(TRACE,)))
    for stop in range(len(encoded)):
        with pytest.raises(FrameError):
            decode(encoded[:stop])


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_else(received):
    with contextlib.suppress(FrameError):
        decode(b"\x0a" + received)


def test_what_cannot_travel_is_refused_by_the_sender():
    with pytest.raises(FrameError, match="'t0' has elements of"):
        encode(frame_of(np.array(["text"])))
