"""Random networks, cut at random positions, give the outputs of the whole."""

import itertools
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_toy_graphs import node, save, value, weight

from partitioner.onnx_io import cut_plan, load_model, verify_shards

WIDTH = 20
UNARY = ("Tanh", "Sigmoid", "Relu", "Neg", "Abs", "Identity", "Softplus")
BINARY = ("Add", "Sub", "Mul", "Max")


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[tuple[str, str]], int, int]:
    """(operator and its inputs, …), number of inputs, number of outputs."""
    n_inputs = draw(st.integers(1, 3))
    names = [f"x{index}" for index in range(n_inputs)]
    steps = []
    for index in range(draw(st.integers(2, 14))):
        kind = draw(st.sampled_from(("unary", "binary", "product", "product")))
        recent = st.sampled_from(names[-5:] if draw(st.booleans()) else names)
        if kind == "unary":
            steps.append((draw(st.sampled_from(UNARY)), draw(recent)))
        elif kind == "binary":
            steps.append((draw(st.sampled_from(BINARY)), f"{draw(recent)} {draw(recent)}"))
        else:
            steps.append(("MatMul", f"{draw(recent)} w{draw(st.integers(0, 2))}"))
        names.append(f"t{index}")
    return steps, n_inputs, draw(st.integers(1, min(3, len(steps))))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(network=networks(), data=st.data())
def test_chained_shards_equal_the_whole(network, data):
    steps, n_inputs, n_outputs = network
    nodes = [node(op, inputs, f"t{index}") for index, (op, inputs) in enumerate(steps)]
    last = len(steps) - 1
    picked = {last, *data.draw(st.sets(st.integers(0, last), max_size=n_outputs - 1))}
    with tempfile.TemporaryDirectory() as folder:
        path = save(
            Path(folder) / "random.onnx",
            nodes,
            [value(f"x{index}", ["N", WIDTH]) for index in range(n_inputs)],
            [value(f"t{index}", ["N", WIDTH]) for index in sorted(picked)],
            [weight(f"w{index}", WIDTH, WIDTH) for index in range(3)],
        )
        model = load_model(path, batch=2, cache_dir=Path(folder) / "cache")
        positions = st.sets(st.integers(1, max(1, model.graph.n_units - 1)), max_size=4)
        cuts = sorted(data.draw(positions)) if model.graph.n_units > 1 else []
        shards = cut_plan(model, cuts)
        assert verify_shards(model, shards, model.sample_inputs(1)) <= 1e-5
        for shard, following in itertools.pairwise(shards):
            assert shard.sends == following.receives
