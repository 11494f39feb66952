"""A small network for tests that need a real one, and a cache folder that no other test writes to."""

import os
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

WIDTH = 256
N_BLOCKS = 6


REAL_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def pytest_configure():
    """A shell has its jobs in the background ignore interrupts: commands that tests interrupt must not inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def make_cache_home(path):
    """A cache folder of its own; what is dear to make and says nothing about times is linked from the real one."""
    (path / "splitfront").mkdir(parents=True)
    for name in ("models", "testbed"):
        kept = REAL_CACHE / "splitfront" / name
        kept.mkdir(parents=True, exist_ok=True)
        (path / "splitfront" / name).symlink_to(kept)
    for other in REAL_CACHE.iterdir():
        if other.name != "splitfront":
            (path / other.name).symlink_to(other)
    return path


@pytest.fixture(scope="session", autouse=True)
def shared_cache_home(tmp_path_factory):
    """For what is made once for several tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(make_cache_home(tmp_path_factory.mktemp("cache") / "home")))
        yield


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    """For one test and the processes that it starts: profiles of other tests are not known there."""
    path = make_cache_home(tmp_path_factory.mktemp("cache") / "home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    """Six residual blocks of MatMul, Relu and Add; the last output is narrow."""
    rng = np.random.default_rng(5)
    nodes, weights, name = [], [], "x"
    for block in range(N_BLOCKS):
        weights.append(
            numpy_helper.from_array(rng.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32), f"weight{block}")
        )
        nodes += [
            helper.make_node("MatMul", [name, f"weight{block}"], [f"mixed{block}"], name=f"mix{block}"),
            helper.make_node("Relu", [f"mixed{block}"], [f"bent{block}"], name=f"bend{block}"),
            helper.make_node("Add", [f"bent{block}", name], [f"block{block}"], name=f"add{block}"),
        ]
        name = f"block{block}"
    weights.append(numpy_helper.from_array(rng.normal(0, 0.1, (WIDTH, 10)).astype(np.float32), "head"))
    nodes.append(helper.make_node("MatMul", [name, "head"], ["y"], name="head"))
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16, 10])],
        weights,
    )
    path = tmp_path_factory.mktemp("model") / "toy.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
