"""Coded tensors through frames, into a stage: what one end codes the other has; what anybody sends harms nothing."""

import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from node_agent import codecs
from node_agent.dataplane.encoder import encode_timed
from node_agent.dataplane.frame import decode, encode, with_codec
from node_agent.dataplane.reception import receive, uncoded
from node_agent.element_types import DTYPES
from node_agent.errors import CodecMissingError, FrameError
from node_agent.messages import CodedTensor, StageTrace, TensorFrame, TensorSpec
from node_agent.wire import agent_pb2

TRACE = StageTrace(stage=0, queue_seconds=0.0, decode_seconds=0.0, compute_seconds=1.0, encode_seconds=0.0)
BOMB_SHAPE = (256 << 20,)
"""Of float32: 1 GiB."""

any_tensor = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hypothesis_numpy.arrays(
        DTYPES[name], hypothesis_numpy.array_shapes(min_dims=0, min_side=0, max_side=7)
    )
)


def frame_of(tensors):
    return TensorFrame(deployment="d", epoch=1, request=7, stage=1, tensors=tuple(enumerated(tensors)), trace=(TRACE,))


def enumerated(tensors):
    return ((f"t{index}", values) for index, values in enumerate(tensors))


def specs_of(tensors):
    return {
        name: TensorSpec(name=name, dtype=values.dtype.name, shape=values.shape) for name, values in enumerated(tensors)
    }


@given(st.lists(any_tensor, max_size=4), st.sampled_from(codecs.CODECS))
@settings(max_examples=300, deadline=None)
def test_what_one_end_codes_the_other_end_has(tensors, codec):
    sent = decode(encode_timed(with_codec(frame_of(tensors), codec), coding_seconds=0.25).joined())
    received = receive(sent, specs_of(tensors))
    assert sent.trace[-1].encode_seconds >= 0.25
    assert list(received) == [name for name, _ in enumerated(tensors)]
    for name, values in enumerated(tensors):
        alone = codecs.decode(codec, codecs.encode(codec, values), specs_of(tensors)[name])
        assert received[name].dtype == values.dtype
        assert received[name].shape == values.shape
        assert received[name].tobytes() == alone.tobytes()


def test_a_plain_frame_says_nothing_of_codecs():
    header = agent_pb2.Frame.FromString(encode(frame_of([np.ones(3, np.float32)])).joined()).header
    assert [field.name for field, _ in header.tensors[0].ListFields()] == ["name", "dtype", "shape"]


def test_int8_quarters_what_travels():
    frame = frame_of([np.random.default_rng(0).standard_normal(10_000, dtype=np.float32)])
    assert encode(with_codec(frame, "int8")).n_bytes < 0.27 * encode(frame).n_bytes


@st.composite
def damaged(draw):
    """A good coded frame in which some bytes of the payload are others, or missing, or too many; and its tensor."""
    codec = draw(st.sampled_from(codecs.CODECS))
    values = np.maximum(np.random.default_rng(draw(st.integers(0, 9))).standard_normal(60), 0).astype(np.float32)
    content = bytearray(codecs.encode(codec, values))
    for _ in range(draw(st.integers(0, 3))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    content = content[: draw(st.integers(0, len(content)))] + draw(st.binary(max_size=8))
    return codec, values, content


@given(damaged())
@settings(max_examples=600, deadline=None)
def test_damaged_payloads_are_frame_errors_or_tensors_of_the_right_size(case):
    codec, values, content = case
    coded = CodedTensor(codec=codec, dtype="float32", shape=values.shape, content=memoryview(content))
    sent = decode(encode(frame_of([coded])).joined())
    with contextlib.suppress(FrameError):
        assert receive(sent, specs_of([values]))["t0"].shape == values.shape


def coded_frame(codec="zstd", shape=(8,), dtype="float32", n_bytes=None, content=b"abc"):
    header = agent_pb2.FrameHeader(kind=agent_pb2.FRAME_KIND_TENSORS, deployment="d")
    n_bytes = len(content) if n_bytes is None else n_bytes
    header.tensors.add(name="x", dtype=dtype, shape=shape, codec=codec, n_bytes=n_bytes)
    return agent_pb2.Frame(header=header, payload=content).SerializeToString()


EXPECTED = {"x": TensorSpec(name="x", dtype="float32", shape=(8,))}


@pytest.mark.parametrize(
    ("received", "words"),
    [
        (coded_frame(n_bytes=4), "announces tensors of 4 bytes and brings 3"),
        (coded_frame(n_bytes=2**63), "announces tensors of"),
        (coded_frame(dtype="object"), "elements of 'object'"),
        (coded_frame(shape=(-1,)), "impossible shape"),
        (coded_frame(shape=(9,)), r"'x' is float32 of shape \(9,\), want float32 of \(8,\)"),
        (coded_frame(dtype="float64"), "'x' is float64"),
        (coded_frame(), r"'x' \(float32 \(8,\)\) cannot be decoded from 3 bytes of zstd"),
        (coded_frame("int8"), "cannot be decoded from 3 bytes of int8"),
        (coded_frame("none"), "cannot be decoded from 3 bytes of none"),
    ],
)
def test_coded_tensors_that_do_not_fit_say_what_is_wrong(received, words):
    with pytest.raises(FrameError, match=words):
        receive(decode(received), EXPECTED)


def test_a_codec_that_nobody_has_is_named():
    with pytest.raises(CodecMissingError, match="'rot13'"):
        receive(decode(coded_frame("rot13")), EXPECTED)


def bomb(codec):
    """Some kilobytes that unpack to a gigabyte, as they truly would."""
    zeros = np.zeros(1 << 20, np.float32)
    content = bytes(codecs.encode(codec, zeros))
    return coded_frame(codec, shape=BOMB_SHAPE, content=content)


@pytest.mark.parametrize("codec", ["zstd", "lz4", "float16", "int8"])
@pytest.mark.parametrize("expected", [(8,), (-1,)], ids=["known size", "open size"])
def test_bombs_are_refused_before_anything_is_allocated(codec, expected):
    received = bomb(codec)
    tracemalloc.start()
    with pytest.raises(FrameError, match=r"want float32 of \(8,\)|at most"):
        receive(decode(received), {"x": TensorSpec(name="x", dtype="float32", shape=expected)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_payload_never_unpacks_to_more_than_was_announced():
    large = codecs.encode("zstd", np.zeros(1 << 22, np.float32))
    tracemalloc.start()
    with pytest.raises(FrameError, match="cannot be decoded"):
        receive(decode(coded_frame(content=bytes(large))), EXPECTED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_results_that_nobody_asked_to_be_coded_are_refused():
    plain = frame_of([np.ones(3, np.float32)])
    assert list(uncoded(plain)) == ["t0"]
    with pytest.raises(FrameError, match="Request 7 came back in codec 'int8'"):
        uncoded(with_codec(plain, "int8"))
