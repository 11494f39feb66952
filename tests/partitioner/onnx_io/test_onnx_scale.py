"""Work grows with the size of a graph, not with its square; the order is the best one where that can be known."""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx_toy_graphs import node, save, value, weight

from partitioner.graph import Graph
from partitioner.onnx_io import load_model
from partitioner.onnx_io.order import group_layers, order_groups
from partitioner.onnx_io.wiring import Wiring


def residual_chain(path: Path, n_operators: int) -> str:
    nodes, current, skip = [], "x", "x"
    for index in range(n_operators - 1):
        name = f"t{index}"
        if index % 10 == 9:
            nodes.append(node("Add", f"{current} {skip}", name))
            skip = name
        else:
            nodes.append(node("MatMul", f"{current} w{index % 7}", name))
        current = name
    nodes.append(node("Tanh", current, "y"))
    return save(path, nodes, [value("x", ["N", 32])], [value("y", None)], [weight(f"w{i}", 32, 32) for i in range(7)])


def wide(path: Path, n_operators: int) -> str:
    """All branches hang on one tensor and meet in one Sum: half of them are alive in the middle."""
    names = [f"t{index}" for index in range(n_operators - 2)]
    nodes = [node("MatMul", "x w", "h")]
    nodes += [node("MatMul", f"h v{index}", name) for index, name in enumerate(names)]
    nodes.append(node("Sum", " ".join(names), "y"))
    tensors = [weight("w", 8, 8), *(weight(f"v{index}", 8, 8) for index in range(len(names)))]
    return save(path, nodes, [value("x", ["N", 8])], [value("y", None)], tensors)


def inspect(path: str, cache: Path) -> Graph:
    graph = load_model(path, cache_dir=cache).graph
    assert len(graph.split_points) == graph.n_units - 1
    return graph


def calls_of(run: Callable[[], object]) -> int:
    """Calls of functions, those written in C included: the same on every machine, however busy."""
    n_calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal n_calls
        n_calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return n_calls


@pytest.mark.parametrize("build", [residual_chain, wide])
def test_four_times_the_operators_are_four_times_the_work(build, tmp_path):
    inspect(build(tmp_path / "warm.onnx", 50), tmp_path / "warm")
    small, large = (build(tmp_path / f"{n}.onnx", n) for n in (400, 1600))
    few = calls_of(lambda: inspect(small, tmp_path / "few"))
    many = calls_of(lambda: inspect(large, tmp_path / "many"))
    assert many <= 5 * few


@pytest.mark.slow
@pytest.mark.parametrize("build", [residual_chain, wide])
def test_graph_of_5000_operators_is_inspected_in_seconds(build, tmp_path):
    path = build(tmp_path / "large.onnx", 5000)
    start = time.process_time()
    graph = inspect(path, tmp_path / "cache")
    assert time.process_time() - start < 5
    assert len(graph.layers) == 5000
    assert graph.n_units >= 4000


@pytest.mark.slow
def test_unsorted_graph_of_5000_operators_is_sorted_in_seconds(tmp_path):
    import onnx

    path = residual_chain(tmp_path / "large.onnx", 5000)
    proto = onnx.load(path)
    nodes = list(proto.graph.node)[::-1]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, path)
    start = time.process_time()
    assert len(inspect(path, tmp_path / "cache").layers) == 5000
    assert time.process_time() - start < 5


def random_dag(seed: int, most_nodes: int) -> tuple[Wiring, dict[str, int], list[str]]:
    """Nodes of one output each, which later ones read; sizes of the tensors; outputs."""
    generator = np.random.default_rng(seed)
    n_nodes = int(generator.integers(4, most_nodes + 1))
    nodes = []
    for index in range(n_nodes):
        names = ["x", *(f"t{before}" for before in range(index))]
        picked = generator.choice(names, size=min(len(names), int(generator.integers(1, 3))), replace=False)
        nodes.append(node("Sum", " ".join(picked), f"t{index}"))
    sizes = {name: int(generator.choice([1, 10, 100])) for name in ("x", *(f"t{index}" for index in range(n_nodes)))}
    wiring = Wiring(nodes)
    return wiring, sizes, [name for (name,) in wiring.writes if name not in wiring.readers]


def live_bytes(done: frozenset[int], wiring: Wiring, sizes: dict[str, int], outputs: list[str]) -> int:
    """Bytes alive when just these nodes have run: counted from scratch."""
    made = {"x", *(name for index in done for name in wiring.writes[index])}
    wanted = {*outputs, *(name for index, reads in enumerate(wiring.reads) if index not in done for name in reads)}
    return sum(sizes[name] for name in made & wanted)


def least_of_all_orders(wiring: Wiring, sizes: dict[str, int], outputs: list[str]) -> int:
    """Live bytes summed over the steps of the best order, by trying every node at every step."""
    before = [{wiring.maker[name] for name in reads if name in wiring.maker} for reads in wiring.reads]

    @functools.cache
    def least_from(done: frozenset[int]) -> int:
        ready = [index for index in range(len(before)) if index not in done and before[index] <= done]
        following = [done | {index} for index in ready]
        return min((live_bytes(new, wiring, sizes, outputs) + least_from(new) for new in following), default=0)

    return least_from(frozenset())


@pytest.mark.parametrize(("most_nodes", "n_graphs", "factor"), [(8, 200, 1.0), (13, 20, 1.05)])
def test_order_is_the_best_of_all_on_small_graphs(most_nodes, n_graphs, factor):
    for seed in range(n_graphs):
        wiring, sizes, outputs = random_dag(seed, most_nodes)
        groups = order_groups(group_layers(wiring, set()), wiring, sizes, ["x"], outputs)
        order = [index for group in groups for index in group]
        total, done = 0, frozenset[int]()
        for index in order:
            assert {wiring.maker[name] for name in wiring.reads[index] if name in wiring.maker} <= done
            done |= {index}
            total += live_bytes(done, wiring, sizes, outputs)
        assert total <= factor * least_of_all_orders(wiring, sizes, outputs), seed
