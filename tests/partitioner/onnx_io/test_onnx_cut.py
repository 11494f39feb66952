"""Cutting toy graphs: equality at every split point, relays, constants, sharing, determinism."""

from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_toy_graphs import (
    branched_network,
    chain,
    conditional_network,
    masked_network,
    residual_network,
    save,
    value,
    weight,
)
from onnx_toy_graphs import node as toy_node

from partitioner.errors import PlanError
from partitioner.onnx_io import cut_plan, load_model, verify_shards
from partitioner.shard import Shard

BUILDERS = [chain, residual_network, branched_network, masked_network, conditional_network]


@pytest.mark.parametrize("build", BUILDERS)
def test_every_two_and_three_way_cut_gives_the_outputs_of_the_whole_model(build, load, tmp_path):
    model = load(build(tmp_path / "toy.onnx"), batch=2)
    inputs = model.sample_inputs(3)
    positions = range(1, model.graph.n_units)
    assert len(positions) >= 3
    for cuts in [(), *combinations(positions, 1), *combinations(positions, 2), tuple(positions)]:
        assert verify_shards(model, cut_plan(model, cuts), inputs) <= 1e-5


def test_both_branches_of_a_condition_are_cut_rightly(load, tmp_path):
    model = load(conditional_network(tmp_path / "toy.onnx"))
    branch = next(layer for layer in model.graph.layers if layer.op == "If")
    assert set(branch.inputs) == {"flag", "h", "early"}, "what the bodies capture is read by the layer"
    for flag in (True, False):
        inputs = model.sample_inputs(0) | {"flag": np.array(flag)}
        for position in range(1, model.graph.n_units):
            assert verify_shards(model, cut_plan(model, [position]), inputs) <= 1e-5


def test_early_output_and_far_skip_are_relayed_by_the_stages_between(load, tmp_path):
    model = load(branched_network(tmp_path / "toy.onnx"))
    graph = model.graph
    shards = cut_plan(model, range(1, graph.n_units))
    late = [shard for shard in shards if "early" in {spec.name for spec in shard.receives}]
    assert len(late) >= 3
    for shard in late:
        assert "early" in {spec.name for spec in shard.sends}
        assert "early" not in outputs_of(shard), "a relayed tensor is not made again"
    skipping = [shard for shard in late if "a1" in {spec.name for spec in shard.receives}]
    assert any("a1" not in inputs_of(shard) for shard in skipping), "a stage relays what it does not read"


def test_unread_input_is_no_boundary_but_accepted(load, tmp_path):
    model = load(branched_network(tmp_path / "toy.onnx"))
    assert model.graph.inputs == ("a", "unused", "b")
    assert model.graph.boundaries[0] == ("a", "b")
    inputs = model.sample_inputs(0)
    assert "unused" in inputs
    without = {name: array for name, array in inputs.items() if name != "unused"}
    for name, array in model.run_whole(without).items():
        np.testing.assert_array_equal(array, model.run_whole(inputs)[name])


def test_shared_weight_is_one_blob_and_the_same_in_each_shard(load, tmp_path):
    model = load(branched_network(tmp_path / "toy.onnx"))
    readers = [layer.index for layer in model.graph.layers if layer.op == "MatMul" and "m" in layer.outputs[0]]
    first, last = (
        model.cut(index, index + 1)
        for index in range(model.graph.n_units)
        if any(model.graph.units[index].start <= reader < model.graph.units[index].stop for reader in readers)
    )
    assert first.blobs == last.blobs
    assert len(model.whole_shard().blobs) == 3
    blob = first.blobs[0]
    assert len(model.read_blob(blob.sha256)) == blob.n_bytes == 32 * 32 * 4


def test_equal_content_under_two_names_is_one_blob(load, tmp_path):
    twin = weight("w0", 32, 32)
    other = onnx.TensorProto()
    other.CopyFrom(twin)
    other.name = "w1"
    nodes = [toy_node("MatMul", "x w0", "h"), toy_node("Tanh", "h", "t"), toy_node("MatMul", "t w1", "y")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 32])], [value("y", None)], [twin, other])
    assert len(load(path).whole_shard().blobs) == 1


def test_mask_made_of_constants_and_shapes_is_copied_and_never_crosses(load, tmp_path):
    model = load(masked_network(tmp_path / "toy.onnx"))
    crossing = {name for names in model.graph.boundaries for name in names}
    assert crossing.isdisjoint({"mask", "ones", "shape"})
    assert all(point.is_block_level for point in model.graph.split_points)
    assert not {"Shape", "ConstantOfShape"} & {layer.op for layer in model.graph.layers}
    first, last = model.cut(0, 1), model.cut(model.graph.n_units - 1, model.graph.n_units)
    assert "mask" in made_in(last)
    assert "w" not in {tensor.name for tensor in proto_of(last).graph.initializer}
    assert first.blobs


def test_constant_and_passed_through_outputs_arrive(load, tmp_path):
    nodes = [toy_node("MatMul", "x w", "h"), toy_node("Tanh", "h", "y"), toy_node("Add", "h bias", "z")]
    outputs = [value("y", None), value("bias", [16]), value("x", ["N", 16]), value("z", None)]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], outputs, [weight("w", 16, 16), weight("bias", 16)])
    model = load(path)
    for position in range(1, model.graph.n_units):
        shards = cut_plan(model, [position])
        assert verify_shards(model, shards, model.sample_inputs(0)) <= 1e-5
        assert {spec.name for spec in shards[-1].sends} == {"y", "bias", "x", "z"}


def test_shard_is_the_same_bytes_in_another_process_folder_and_storage(tmp_path):
    def shards(folder: Path, **options: object) -> list[tuple[str, ...]]:
        folder.mkdir()
        model = load_model(chain(folder / "toy.onnx", **options), cache_dir=folder / "cache")
        pairs = combinations(range(model.graph.n_units + 1), 2)
        return [model.graph.model_sha256, *((model.cut(*span).sha256, model.cut(*span).graph) for span in pairs)]

    inline, again = shards(tmp_path / "a"), shards(tmp_path / "b")
    external = shards(tmp_path / "c", external=True)
    assert inline == again == external


def test_model_digest_follows_weights_and_structure(load, tmp_path):
    digests = {
        load(chain(tmp_path / "a.onnx")).graph.model_sha256,
        load(chain(tmp_path / "b.onnx", n_blocks=5)).graph.model_sha256,
    }
    model = onnx.load(tmp_path / "a.onnx")
    raw = bytearray(model.graph.initializer[0].raw_data)
    raw[0] ^= 1
    model.graph.initializer[0].raw_data = bytes(raw)
    onnx.save(model, tmp_path / "c.onnx")
    digests.add(load(str(tmp_path / "c.onnx")).graph.model_sha256)
    model.graph.node[0].name = "renamed"
    model.graph.doc_string = "a comment"
    onnx.save(model, tmp_path / "d.onnx")
    digests.add(load(str(tmp_path / "d.onnx")).graph.model_sha256)
    assert len(digests) == 3


def test_large_weights_lie_outside_the_graph_and_small_ones_inside(load, tmp_path):
    model = load(residual_network(tmp_path / "toy.onnx"))
    for tensor in proto_of(model.whole_shard()).graph.initializer:
        is_outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        n_bytes = 4 * int(np.prod(tensor.dims))
        assert is_outside == (n_bytes >= 1024), tensor.name
        if is_outside:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            assert len(entries["location"]) == 64
            assert entries["offset"] == "0"
            assert int(entries["length"]) == n_bytes


def test_shards_hold_no_trace_of_the_machine(load, tmp_path):
    square = onnx.helper.make_function(
        "toy", "Square", ["a"], ["b"], [toy_node("Mul", "a a", "b")], [onnx.helper.make_opsetid("", 17)]
    )
    call = onnx.helper.make_node("Square", ["h"], ["s"], name="call", domain="toy")
    call.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/somebody/secret.py")
    call.doc_string = "/home/somebody"
    nodes = [toy_node("MatMul", "x w", "h"), call, toy_node("Tanh", "s", "y")]
    inputs, outputs = [value("x", ["N", 16])], [value("y", None)]
    path = save(tmp_path / "f.onnx", nodes, inputs, outputs, [weight("w", 16, 16)], functions=[square], domains=["toy"])
    model = load(path)
    assert [layer.op for layer in model.graph.layers] == ["MatMul", "Mul", "Tanh"]
    for position in range(1, model.graph.n_units):
        shards = cut_plan(model, [position])
        assert verify_shards(model, shards, model.sample_inputs(1)) <= 1e-5
        assert all(b"somebody" not in shard.graph for shard in shards)


def test_cut_is_cached_and_refuses_bad_spans(load, tmp_path):
    model = load(chain(tmp_path / "toy.onnx"))
    assert model.cut(0, 2) is model.cut(0, 2)
    n_units = model.graph.n_units
    for start, stop in ((0, 0), (2, 1), (-1, 1), (0, n_units + 1)):
        with pytest.raises(PlanError, match="Span"):
            model.cut(start, stop)
    for positions in ([0], [n_units], [2, 1], [1, 1]):
        with pytest.raises(PlanError, match="must increase"):
            cut_plan(model, positions)


def test_two_shards_of_one_span_share_no_protobuf(load, tmp_path):
    model = load(chain(tmp_path / "toy.onnx"))
    before = model.cut(0, 2).graph
    proto_of(model.cut(0, 2)).graph.node[0].op_type = "Broken"
    assert model.cut(0, 2).graph == before
    assert model.cut(1, 3).graph == load(str(tmp_path / "toy.onnx")).cut(1, 3).graph


def proto_of(shard: Shard) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(shard.graph)


def inputs_of(shard: Shard) -> set[str]:
    return {item.name for item in proto_of(shard).graph.input}


def outputs_of(shard: Shard) -> set[str]:
    return {item.name for item in proto_of(shard).graph.output}


def made_in(shard: Shard) -> set[str]:
    return {name for item in proto_of(shard).graph.node for name in item.output} | {
        tensor.name for tensor in proto_of(shard).graph.initializer
    }
