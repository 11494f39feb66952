"""A decoder that remembers what its stream's frames are like reads each as one that remembers nothing."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.dataplane.decoder import FrameDecoder
from node_agent.dataplane.encoder import encode_timed
from node_agent.dataplane.frame import decode, encode
from node_agent.errors import FrameError
from node_agent.messages import ErrorFrame, StageTrace, TensorFrame

VALUES = (("x", np.arange(6, dtype=np.float32).reshape(2, 3)), ("y", np.array(7)))
TRACE = StageTrace(stage=1, queue_seconds=0.25, decode_seconds=0.0, compute_seconds=2.0, encode_seconds=0.5)
requests = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1), st.sampled_from((2**63 - 1, 2**63, 2**64 - 1)))
traces = st.integers(0, 3).map(lambda n: (TRACE,) * n)


def frame(request, trace=(), tensors=VALUES):
    return TensorFrame(deployment="d", epoch=3, request=request, stage=3, tensors=tensors, trace=trace)


def read(decoder, received):
    """What came of it, comparable."""
    try:
        found = decoder(received)
    except FrameError as exc:
        return str(exc)
    seen = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, TensorFrame):
        seen["tensors"] = [(name, one.dtype, one.shape, one.tobytes()) for name, one in found.tensors]
    return type(found), repr(seen)


@given(st.lists(st.tuples(requests, traces), min_size=2, max_size=6))
def test_frames_of_a_stream_are_read_alike(sent):
    decoder = FrameDecoder()
    for request, trace in sent:
        received = encode(frame(request, trace)).joined()
        assert read(decoder.decode, received) == read(decode, received)
        assert read(decoder.decode, memoryview(received)) == read(decode, received)


damages = st.lists(st.tuples(st.integers(0, 140), st.integers(0, 255)), min_size=1, max_size=3)


@given(requests, requests, traces, damages)
def test_a_damaged_frame_is_read_alike(first, second, trace, damage):
    decoder = FrameDecoder()
    decoder.decode(encode(frame(first, trace)).joined())
    received = bytearray(encode(frame(second, trace)).joined())
    for place, byte in damage:
        received[place % len(received)] = byte
    assert read(decoder.decode, bytes(received)) == read(decode, bytes(received))


def test_each_byte_of_a_frame_that_is_known_matters():
    known = encode(frame(5)).joined()
    for place in range(len(known) - sum(values.nbytes for _, values in VALUES)):
        for bit in range(8):
            decoder = FrameDecoder()
            decoder.decode(known)
            damaged = bytearray(known)
            damaged[place] ^= 1 << bit
            assert read(decoder.decode, bytes(damaged)) == read(decode, bytes(damaged)), (place, bit)


def test_arrays_of_a_known_frame_are_read_only_views():
    decoder = FrameDecoder()
    decoder.decode(encode(frame(1)).joined())
    received = memoryview(encode_timed(frame(2, (TRACE,))).joined())
    decoder.decode(received)
    again = decoder.decode(received)
    assert np.shares_memory(again.tensors[0][1], np.frombuffer(received, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        again.tensors[0][1][0] = 1


def test_other_frames_between_those_of_a_stream_are_read_as_they_are():
    decoder = FrameDecoder()
    other = ErrorFrame(deployment="d", epoch=3, request=2, stage=3, error="FrameError", message="m")
    short = frame(4, tensors=VALUES[:1])
    for sent in (frame(1), other, frame(3), short, frame(5)):
        received = encode(sent).joined()
        assert read(decoder.decode, received) == read(decode, received)
