"""A small network, and plans of any on nodes with made-up stage times, which agents hold that emulate devices."""

from collections.abc import Sequence
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Stage
from partitioner.profile import DeviceProfile, Profile, SegmentTiming

UNIT_SECONDS = 2e-3
"""Of every unit on every node."""

WIDTH, N_BLOCKS = 64, 12
"""Of the network."""


def write_network(path: Path) -> Path:
    """A chain of small matrix products."""
    draw = np.random.default_rng(5)
    nodes, weights, name = [], [], "x"
    for block in range(N_BLOCKS):
        values = draw.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"weight{block}"))
        nodes += [
            helper.make_node("MatMul", [name, f"weight{block}"], [f"mixed{block}"]),
            helper.make_node("Relu", [f"mixed{block}"], [f"block{block}"]),
        ]
        name = f"block{block}"
    shape = ["batch", 16, WIDTH]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def made_up_cost_model(model: Model, names: Sequence[str]) -> CostModel:
    """Equal nodes and fast links."""
    graph = model.graph
    spans = [(index, index + 1) for index in range(graph.n_units)] + [(0, graph.n_units)]
    segments = tuple(
        made_up_timing(start, stop, UNIT_SECONDS * (stop - start), memory_bytes=1 << 20) for start, stop in spans
    )
    links = tuple(
        Link(source=one, target=two, fixed_seconds=2e-4, bytes_per_second=1e9)
        for one, two in permutations((CLIENT, *names), 2)
    )
    devices = tuple(Device(name=name, memory_bytes=4 << 30) for name in names)
    return CostModel(
        graph,
        Cluster(name="made up", devices=devices, links=links),
        Profile(
            model_sha256=graph.model_sha256,
            batch=graph.batch,
            n_units=graph.n_units,
            devices=tuple(DeviceProfile(device=name, segments=segments, runtime="none") for name in names),
        ),
    )


def made_up_timing(start: int, stop: int, seconds: float, memory_bytes: int = 0) -> SegmentTiming:
    """A span that took the same each time."""
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=seconds,
        low_seconds=seconds,
        high_seconds=seconds,
        n_samples=10,
        session_seconds=0.01,
        memory_bytes=memory_bytes,
    )


def plan_on(cost_model: CostModel, *names: str) -> Candidate:
    """Equal stages on these nodes, in this order."""
    n_units = cost_model.graph.n_units
    edges = [round(n_units * index / len(names)) for index in range(len(names) + 1)]
    return cost_model.candidate(
        tuple(
            Stage(device=name, start=start, stop=stop)
            for name, (start, stop) in zip(names, pairwise(edges), strict=True)
        )
    )


def plans_of_three(cost_model: CostModel, names: Sequence[str]) -> tuple[Candidate, ...]:
    """Every order of three of the nodes."""
    return tuple(plan_on(cost_model, *order) for order in permutations(names, 3))
