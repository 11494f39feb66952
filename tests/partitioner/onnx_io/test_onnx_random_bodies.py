"""Random networks with conditions in them, cut at random positions, give the outputs of the whole."""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_toy_graphs import node, save, value, weight

from partitioner.onnx_io import cut_plan, load_model, verify_shards

WIDTH = 20
UNARY = ("Tanh", "Sigmoid", "Relu", "Neg", "Abs", "Identity")
BINARY = ("Add", "Sub", "Mul", "Max")
Step = tuple[str, tuple[str, ...]]
"""Operator and what it reads; for an If the condition, then what each branch reads."""


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Step], int, list[int]]:
    """Steps in order, number of inputs, indices of the steps whose results are put out."""
    n_inputs = draw(st.integers(1, 3))
    names = [f"x{index}" for index in range(n_inputs)]
    steps: list[Step] = []
    for index in range(draw(st.integers(3, 12))):
        tensor = st.sampled_from(names[-4:] if draw(st.booleans()) else names)
        kind = draw(st.sampled_from(("unary", "binary", "product", "if", "if")))
        if kind == "unary":
            steps.append((draw(st.sampled_from(UNARY)), (draw(tensor),)))
        elif kind == "binary":
            steps.append((draw(st.sampled_from(BINARY)), (draw(tensor), draw(tensor))))
        elif kind == "product":
            steps.append(("MatMul", (draw(tensor), f"w{draw(st.integers(0, 2))}")))
        else:
            condition = draw(st.sampled_from(("flag", "always", "never")))
            steps.append(("If", (condition, *(draw(tensor) for _ in range(4)))))
        names.append(f"t{index}")
    last = len(steps) - 1
    outputs = sorted({last, *draw(st.sets(st.integers(0, last), max_size=2))})
    return steps, n_inputs, outputs


def nodes_of(steps: Sequence[Step]) -> list[onnx.NodeProto]:
    nodes = []
    for index, (op, reads) in enumerate(steps):
        name = f"t{index}"
        if op != "If":
            nodes.append(node(op, " ".join(reads), name))
            continue
        condition, first, second, third, fourth = reads
        branches = (branch(index, "then", first, second), branch(index, "else", third, fourth))
        nodes.append(
            helper.make_node("If", [condition], [name], name=name, then_branch=branches[0], else_branch=branches[1])
        )
    return nodes


def branch(index: int, side: str, first: str, second: str) -> onnx.GraphProto:
    """Captures two tensors and a shared weight; has a weight of its own and, in it, an If that captures from both."""
    is_large = index % 2 == 1  # large enough to be a blob
    inner = [
        helper.make_graph(
            [node(op, f"{own} {captured}", f"{name}{index}{side}")], name, [], [value(f"{name}{index}{side}", None)]
        )
        for name, op, own, captured in (("deep", "Add", "product", second), ("flat", "Sub", "scaled", first))
    ]
    nodes = [
        node("MatMul", f"{first} w0", "product"),
        node("MatMul" if is_large else "Mul", "product own", "scaled"),
        helper.make_node(
            "If", ["flag"], ["picked"], name=f"i{index}{side}", then_branch=inner[0], else_branch=inner[1]
        ),
        node("Tanh", "picked", f"out{index}{side}"),
    ]
    own = weight("own", WIDTH, WIDTH, seed=index) if is_large else weight("own", 1, WIDTH, seed=index)
    return helper.make_graph(nodes, side, [], [value(f"out{index}{side}", None)], [own])


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(network=networks(), data=st.data())
def test_chained_shards_equal_the_whole_on_both_branches(network, data):
    steps, n_inputs, outputs = network
    truths = [helper.make_tensor(name, TensorProto.BOOL, [], [name == "always"]) for name in ("always", "never")]
    inputs = [value(f"x{index}", ["N", WIDTH]) for index in range(n_inputs)]
    with tempfile.TemporaryDirectory() as folder:
        path = save(
            Path(folder) / "random.onnx",
            nodes_of(steps),
            [*inputs, value("flag", [], TensorProto.BOOL)],
            [value(f"t{index}", ["N", WIDTH]) for index in outputs],
            [*(weight(f"w{index}", WIDTH, WIDTH) for index in range(3)), *truths],
        )
        model = load_model(path, batch=2, cache_dir=Path(folder) / "cache")
        n_units = model.graph.n_units
        cuts = sorted(data.draw(st.sets(st.integers(1, n_units - 1), max_size=4))) if n_units > 1 else []
        shards = cut_plan(model, cuts)
        for flag in (True, False):
            inputs_now = model.sample_inputs(1) | {"flag": np.array(flag)}
            assert verify_shards(model, shards, inputs_now) <= 1e-5
        for shard, following in itertools.pairwise(shards):
            assert shard.sends == following.receives
