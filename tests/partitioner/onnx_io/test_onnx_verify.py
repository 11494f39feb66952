"""The check must fail on shards that are wrong, however small the outputs are."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import branched_network, chain, node, save, value, weight

from partitioner.errors import ShardMismatchError, UnsupportedModelError
from partitioner.onnx_io import cut_plan, verify_shards
from partitioner.shard import Shard


def test_tiny_outputs_are_judged_by_their_own_size(load, tmp_path):
    nodes = [node("MatMul", "x w", "h"), node("Tanh", "h", "t"), node("Mul", "t tiny", "y")]
    tensors = [weight("w", 16, 16), helper.make_tensor("tiny", TensorProto.FLOAT, [], [1e-9])]
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    inputs = model.sample_inputs(0)
    assert np.abs(model.run_whole(inputs)["y"]).max() < 1e-8
    shards = cut_plan(model, [1])
    assert verify_shards(model, shards, inputs) <= 1e-5
    with pytest.raises(ShardMismatchError, match=r"Output 'y' of 't' cut at \[1\] differs.*tolerance 1e-05"):
        verify_shards(model, (shards[0], altered(shards[1], "Mul", "Add")), inputs)


def test_worst_output_is_named_and_tolerance_counts(load, tmp_path):
    model = load(branched_network(tmp_path / "t.onnx"))
    inputs = model.sample_inputs(0)
    shards = cut_plan(model, range(1, model.graph.n_units))
    wrong = tuple(altered(shard, "Mul", "Add") for shard in shards)
    with pytest.raises(ShardMismatchError, match="Output 'late'"):
        verify_shards(model, wrong, inputs)
    assert verify_shards(model, wrong, inputs, tolerance=1e3) > 0.1


def test_shards_that_do_not_follow_each_other_are_refused(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx"))
    first, middle, last = cut_plan(model, [2, 4])
    with pytest.raises(ShardMismatchError, match=r"Shard \[4:.*wants \['t1'\]|Shard \[4:"):
        verify_shards(model, (first, last), model.sample_inputs(0))
    with pytest.raises(ShardMismatchError, match="'y' of 't' cut at"):
        verify_shards(model, (first, middle), model.sample_inputs(0))


def test_not_a_number_must_stand_in_the_same_place(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), node("Log", "t", "l"), node("Neg", "l", "y")]
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)]))
    inputs = model.sample_inputs(0)
    assert np.isnan(model.run_whole(inputs)["y"]).any()
    shards = cut_plan(model, [1])
    assert verify_shards(model, shards, inputs) <= 1e-5
    with pytest.raises(ShardMismatchError, match="inf of its size"):
        verify_shards(model, (shards[0], altered(shards[1], "Log", "Exp")), inputs)


def test_integer_outputs_must_be_equal(load, tmp_path):
    nodes = [node("MatMul", "x w", "h"), node("Tanh", "h", "t"), node("ArgMax", "t", "y", axis=1)]
    path = save(
        tmp_path / "t.onnx",
        nodes,
        [value("x", ["N", 16])],
        [value("y", None, TensorProto.INT64)],
        [weight("w", 16, 16)],
    )
    model = load(path, batch=8)
    shards = cut_plan(model, [1])
    assert verify_shards(model, shards, model.sample_inputs(0)) == 0
    with pytest.raises(ShardMismatchError):
        verify_shards(model, (shards[0], altered(shards[1], "ArgMax", "ArgMin")), model.sample_inputs(0))


def test_checker_sees_every_shard(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx"))
    shards = cut_plan(model, [2])
    proto = onnx.ModelProto.FromString(shards[1].graph)
    del proto.opset_import[:]
    content = proto.SerializeToString()
    broken = replace(shards[1], graph=content, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(UnsupportedModelError, match=r"Shard \[2:\d+\) of 't' is not valid ONNX"):
        verify_shards(model, (shards[0], broken), model.sample_inputs(0))


def test_wrong_weights_do_not_pass(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx"))
    shards = cut_plan(model, [2])
    proto = onnx.ModelProto.FromString(shards[1].graph)
    values = np.frombuffer(model.read_blob(shards[1].blobs[0].sha256), np.float32).reshape(32, 32) * np.float32(1.001)
    tensor = next(t for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    content = proto.SerializeToString()
    wrong = replace(shards[1], graph=content, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ShardMismatchError):
        verify_shards(model, (shards[0], wrong), model.sample_inputs(0))


def altered(shard: Shard, old: str, new: str) -> Shard:
    proto = onnx.ModelProto.FromString(shard.graph)
    for item in proto.graph.node:
        if item.op_type == old:
            item.op_type = new
    content = proto.SerializeToString()
    return replace(shard, graph=content, sha256=hashlib.sha256(content).hexdigest())
