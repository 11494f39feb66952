import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_shards import matmul_shard
from onnx import TensorProto, helper

from node_agent.errors import ShardRejectedError
from node_agent.host.trials.graph_rules import GraphBounds, check_graph
from node_agent.host.trials.wire_fields import BYTES, VARINT, fields, signed

SHARD = matmul_shard()
GRAPH = SHARD.contents[SHARD.ref.graph.sha256]
BOUNDS = GraphBounds(blobs={blob.sha256: blob.n_bytes for blob in SHARD.ref.blobs}, memory_bytes=1 << 30)
FREE = GraphBounds(blobs={}, memory_bytes=1 << 40)


def test_a_good_graph_passes():
    check_graph(GRAPH, BOUNDS)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_whatever_comes_is_judged_and_nothing_else_happens(content):
    judge(content)


def judge(content):
    try:
        check_graph(content, BOUNDS)
    except ShardRejectedError as exc:
        assert "\n" not in str(exc)  # noqa: PT017 - it may also pass


@given(st.integers(0, len(GRAPH) - 1), st.integers(0, 255), st.integers(0, 3))
def test_a_graph_with_other_bytes_is_judged_and_nothing_else_happens(place, byte, n_more):
    changed = bytearray(GRAPH)
    changed[place] = byte
    for more in random.Random(place).sample(range(len(GRAPH)), n_more):
        changed[more] ^= 0xFF
    judge(bytes(changed))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_read_as_protobuf_writes_them(number):
    content = onnx.ModelProto(model_version=number).SerializeToString()
    ((field, kind, value, _),) = fields(content, 0, len(content))
    assert (field, kind, signed(value)) == (5, VARINT, number)


def test_fields_lie_where_they_are_said_to():
    content = onnx.ModelProto(producer_name="a", domain="bcd").SerializeToString()
    read = [(number, kind, content[start:stop]) for number, kind, start, stop in fields(content, 0, len(content))]
    assert read == [(2, BYTES, b"a"), (4, BYTES, b"bcd")]


@pytest.mark.parametrize("kind", [3, 4, 6, 7])
def test_wire_types_that_onnx_lacks_are_refused(kind):
    with pytest.raises(ShardRejectedError, match=f"wire type {kind}"):
        list(fields(bytes((1 << 3 | kind, 0)), 0, 2))


@pytest.mark.parametrize("n_bytes", [9 * 4 - 1, 9 * 4])
def test_a_tensor_may_be_as_large_as_the_memory_that_is_left(n_bytes):
    content = model_with(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(3, 3))).SerializeToString()
    bounds = GraphBounds(blobs={}, memory_bytes=n_bytes)
    if n_bytes == 36:
        check_graph(content, bounds)
    else:
        with pytest.raises(ShardRejectedError, match="'w' has the sizes 3 × 3"):
            check_graph(content, bounds)


def test_all_weights_together_must_fit():
    tensors = [TensorProto(name=f"w{i}", data_type=TensorProto.DOUBLE, dims=(10,)) for i in range(4)]
    content = model_with(*tensors).SerializeToString()
    check_graph(content, GraphBounds(blobs={}, memory_bytes=320))
    with pytest.raises(ShardRejectedError, match="weights have 320 bytes"):
        check_graph(content, GraphBounds(blobs={}, memory_bytes=319))


def model_with(*tensors):
    graph = helper.make_graph([], "g", [], [], list(tensors))
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def test_packed_sizes_count_as_unpacked_ones_do():
    packed = b"\x0a\x02\x05\x07" + b"\x10\x01"  # dims 5, 7 in one field; float
    graph = b"\x2a" + bytes((len(packed),)) + packed
    content = b"\x3a" + bytes((len(graph),)) + graph
    assert list(onnx.load_from_string(content).graph.initializer[0].dims) == [5, 7]
    check_graph(content, GraphBounds(blobs={}, memory_bytes=140))
    with pytest.raises(ShardRejectedError, match="5 × 7"):
        check_graph(content, GraphBounds(blobs={}, memory_bytes=139))


def test_a_place_that_is_named_twice_is_the_last_one_as_in_protobuf():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(1,), data_location=TensorProto.EXTERNAL)
    for place in ("ab" * 32, "../x"):
        tensor.external_data.add(key="location", value=place)
    with pytest.raises(ShardRejectedError, match="never a path"):
        check_graph(model_with(tensor).SerializeToString(), GraphBounds(blobs={"ab" * 32: 4}, memory_bytes=99))


def test_place_in_any_body_is_judged():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(1,), data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "b", [], [])
    node = helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body)
    made = helper.make_model(helper.make_graph([node], "g", [], []))
    with pytest.raises(ShardRejectedError, match="never a path"):
        check_graph(made.SerializeToString(), FREE)


def test_real_networks_pass():
    folder = Path(onnx.__path__[0]) / "backend/test/data/light"
    for name in ("resnet50", "densenet121", "inception_v2"):
        check_graph((folder / f"light_{name}.onnx").read_bytes(), FREE)


def test_weights_of_every_type_are_counted_in_their_bits():
    for name, number in TensorProto.DataType.items():
        if name in ("UNDEFINED", "STRING"):
            continue
        dtype = helper.tensor_dtype_to_np_dtype(number)
        packed = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
        bits = packed.get(name, np.dtype(dtype).itemsize * 8)
        content = model_with(TensorProto(name="w", data_type=number, dims=(80,))).SerializeToString()
        check_graph(content, GraphBounds(blobs={}, memory_bytes=10 * bits))
        with pytest.raises(ShardRejectedError):
            check_graph(content, GraphBounds(blobs={}, memory_bytes=10 * bits - 1))
