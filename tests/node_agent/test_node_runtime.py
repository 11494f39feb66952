import dataclasses

import numpy as np
import onnxruntime
import pytest
from node_shards import blob_of, build_shard, failing_shard, matmul_shard, spec, weights_of
from onnx import helper

from node_agent.config import OPTIMISATIONS
from node_agent.errors import AgentConfigError, BlobMissingError, ShardRejectedError, StageFailedError, StoreFullError
from node_agent.host.runtime import _LEVEL_OF, RuntimeOptions, check_providers, check_tensors, open_session
from node_agent.host.shard_store import ShardStore
from node_agent.messages import ShardRef

OPTIONS = RuntimeOptions(n_threads=1, providers=("CPUExecutionProvider",))


class StoreNode:
    """A store with the two methods of a node that a shard needs."""

    def __init__(self, folder, quota=64 << 20):
        self.store = ShardStore(folder, quota, clock=lambda: 0.0)
        self.missing_blobs = self.store.missing
        self.put_blob = self.store.put


@pytest.fixture
def node(tmp_path):
    made = StoreNode(tmp_path)
    yield made
    made.store.close()


def test_weights_are_found_by_their_digests(node):
    shard = matmul_shard(seed=3)
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    x = np.random.default_rng(0).standard_normal((2, 32), dtype=np.float32)
    made = session.run({"x": x, "other": x})
    np.testing.assert_allclose(made["y"], np.maximum(x @ weights_of(3, 32, 16), 0), rtol=1e-5, atol=1e-6)
    assert session.inputs == shard.receives
    assert session.outputs == shard.sends
    assert session.seconds > 0
    session.close()


def test_sessions_are_opened_as_a_stage_wants_them(node):
    shard = matmul_shard()
    shard.put_into(node)
    session = open_session(node.store, shard.ref, RuntimeOptions(n_threads=2, providers=("CPUExecutionProvider",)))
    used = session._session.get_session_options()
    assert used.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert (used.intra_op_num_threads, used.inter_op_num_threads) == (2, 1)
    assert used.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    session.close()


def test_weights_of_few_bits_are_multiplied_in_full_precision(node):
    weights = np.random.default_rng(0).integers(-127, 127, (64, 64)).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["f"]),
        helper.make_node("MatMul", ["x", "f"], ["m"]),
        helper.make_node("Sigmoid", ["m"], ["y"]),
    ]
    scale = np.array(0.001, np.float32)
    shard = build_shard(nodes, (spec("x", (1, 64)),), (spec("y", (1, 64)),), {"w": weights, "scale": scale})
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    x = np.random.default_rng(1).standard_normal((1, 64), dtype=np.float32)
    expected = 1 / (1 + np.exp(-(x @ (weights * scale))))
    np.testing.assert_allclose(session.run({"x": x})["y"], expected, rtol=1e-5)
    session.close()


@pytest.mark.parametrize(
    ("optimisation", "level"),
    [
        ("none", "ORT_DISABLE_ALL"),
        ("basic", "ORT_ENABLE_BASIC"),
        ("extended", "ORT_ENABLE_EXTENDED"),
        ("all", "ORT_ENABLE_ALL"),
    ],
)
def test_sessions_are_optimised_as_far_as_told_and_compute_the_same(node, optimisation, level):
    shard = matmul_shard(seed=3)
    shard.put_into(node)
    session = open_session(node.store, shard.ref, dataclasses.replace(OPTIONS, optimisation=optimisation))
    used = session._session.get_session_options().graph_optimization_level
    assert used == getattr(onnxruntime.GraphOptimizationLevel, level)
    x = np.random.default_rng(0).standard_normal((2, 32), dtype=np.float32)
    np.testing.assert_allclose(
        session.run({"x": x})["y"], np.maximum(x @ weights_of(3, 32, 16), 0), rtol=1e-5, atol=1e-6
    )
    session.close()


def test_every_level_that_can_be_chosen_has_its_name_in_the_runtime():
    assert tuple(_LEVEL_OF) == OPTIMISATIONS


def test_large_weights_work_as_mapped_files(node):
    shard = matmul_shard(seed=3, n_in=1024, n_out=1024)
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    x = np.ones((2, 1024), np.float32)
    want = np.maximum(x @ weights_of(3, 1024, 1024), 0)
    np.testing.assert_allclose(session.run({"x": x})["y"], want, rtol=1e-4, atol=1e-5)
    for path in node.store.folder.iterdir():
        path.unlink()  # an open session does not need the names
    np.testing.assert_allclose(session.run({"x": x})["y"], want, rtol=1e-4, atol=1e-5)
    session.close()


def test_arrays_that_are_views_or_unaligned_are_taken(node):
    shard = matmul_shard()
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    x = np.random.default_rng(0).standard_normal((2, 32), dtype=np.float32)
    unaligned = np.frombuffer(b"abc" + x.tobytes(), np.float32, offset=3).reshape(2, 32)
    strided = np.asfortranarray(x)
    want = session.run({"x": x})["y"]
    assert not unaligned.flags.aligned
    np.testing.assert_array_equal(session.run({"x": unaligned})["y"], want)
    np.testing.assert_array_equal(session.run({"x": strided})["y"], want)
    session.close()


def test_a_shard_in_use_is_not_evicted_until_it_is_closed(tmp_path):
    node = StoreNode(tmp_path, quota=5000)
    shard = matmul_shard()
    shard.put_into(node)
    node.store._clock = lambda: 1e6
    session = open_session(node.store, shard.ref, OPTIONS)
    node.store._clock = lambda: 2e6
    blob = blob_of(bytes(4500))
    with pytest.raises(StoreFullError):
        node.put_blob(blob, (bytes(4500),))
    session.close()
    node.put_blob(blob, (bytes(4500),))
    node.store.close()


def test_a_failing_run_is_ours_and_the_session_goes_on(node):
    shard = failing_shard()
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    with pytest.raises(StageFailedError, match="onnxruntime failed"):
        session.run({"i": np.array([99])})
    assert session.run({"i": np.array([2])})["y"][0, 2] == 1
    session.close()
    with pytest.raises(StageFailedError, match="closed"):
        session.run({"i": np.array([2])})


def test_what_is_no_graph_is_rejected_and_set_free(node):
    content = b"this is no ONNX graph"
    blob = blob_of(content)
    node.put_blob(blob, (content,))
    with pytest.raises(ShardRejectedError, match=blob.sha256):
        open_session(node.store, ShardRef(graph=blob), OPTIONS)
    node.store._clock = lambda: 1e6
    assert node.store._index.evictable(1e6) == ((blob.sha256, len(content)),)


def test_missing_weights_are_named(node):
    shard = matmul_shard()
    node.put_blob(shard.ref.graph, (shard.contents[shard.ref.graph.sha256],))
    with pytest.raises(BlobMissingError, match=shard.ref.blobs[0].sha256):
        open_session(node.store, shard.ref, OPTIONS)


def test_text_tensors_are_rejected(node):
    text = helper.make_tensor_value_info("s", 8, (1,))
    graph = helper.make_graph([helper.make_node("Identity", ["s"], ["t"])], "g", [text], [])
    graph.output.append(helper.make_tensor_value_info("t", 8, (1,)))
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    blob = blob_of(content)
    node.put_blob(blob, (content,))
    with pytest.raises(ShardRejectedError, match="'s' is of type tensor\\(string\\)"):
        open_session(node.store, ShardRef(graph=blob), OPTIONS)


def test_a_stage_must_fit_its_shard(node):
    shard = matmul_shard()
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    check_tensors(session, shard.load())
    relayed = spec("skip", (3,), "int64")
    check_tensors(session, shard.load(receives=(*shard.receives, relayed), sends=(relayed, *shard.sends)))
    for changes, words in (
        ({"receives": ()}, "it wants 'x', which does not come in"),
        ({"sends": (relayed,)}, "'skip' is neither made nor received"),
        ({"receives": (spec("x", (2, 32), "float64"),)}, "'x' is float64, wanted as float32"),
        ({"sends": (spec("y", (2, 16), "float16"),)}, "'y' is float32, wanted as float16"),
    ):
        with pytest.raises(ShardRejectedError, match=words):
            check_tensors(session, shard.load(**changes))
    session.close()


def test_all_numeric_types_pass_through(node):
    kinds = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
    inputs = tuple(spec(f"in_{kind}", (2, 2), kind) for kind in kinds)
    outputs = tuple(spec(f"out_{kind}", (2, 2), kind) for kind in kinds)
    nodes = [helper.make_node("Transpose", [f"in_{kind}"], [f"out_{kind}"]) for kind in kinds]
    shard = build_shard(nodes, inputs, outputs)
    shard.put_into(node)
    session = open_session(node.store, shard.ref, OPTIONS)
    values = np.array([[0, 1], [2, 3]])
    made = session.run({f"in_{kind}": values.astype(kind) for kind in kinds})
    for kind in kinds:
        assert made[f"out_{kind}"].dtype == np.dtype(kind)
        np.testing.assert_array_equal(made[f"out_{kind}"], values.astype(kind).T)
    session.close()


def test_a_provider_that_is_lacking_is_named_with_those_that_are_there():
    with pytest.raises(AgentConfigError, match=r"lacks NoSuchProvider: this build has .*CPUExecutionProvider"):
        check_providers(("NoSuchProvider", "CPUExecutionProvider"))
    check_providers(("CPUExecutionProvider",))
