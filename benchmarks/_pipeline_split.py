"""The split that all contestants share: after which of torch's blocks, and where that is in our graph."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partitioner.equality import relative_error
from partitioner.onnx_io import Model
from partitioner.onnx_io.session import open_session, run_shard

_SAME = 1e-4
"""Relative error up to which a boundary tensor is the one that torch has there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSplit:
    """A split after a block of a torchvision model."""

    n_blocks: int
    """Blocks before it, as `_baseline_torch.zoo_blocks` counts them."""
    name: str
    """What torchvision calls the last of them."""


SPLITS = {
    "mobilenet_v2": SharedSplit(n_blocks=8, name="features[7]"),
    "resnet18": SharedSplit(n_blocks=5, name="layer2[1]"),
}
"""The block after which nearest to half of the operations are done: 0.53 and 0.55."""


def find_split_point(model: Model, inputs: dict[str, np.ndarray], boundary: np.ndarray) -> int:
    """The split point of our graph that one tensor crosses, the one that torch has at its split.

    Raises:
        SystemExit: There is none.
    """
    graph = model.graph
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        for point in range(1, graph.n_units):
            names = graph.boundaries[point]
            if len(names) != 1 or graph.spec_of[names[0]].shape != boundary.shape:
                continue
            shard = model.cut(0, point)
            session = open_session(model.place_shard(shard, Path(folder)), what=graph.name)
            sent = run_shard(session, shard, inputs, what=graph.name)
            if relative_error(sent[names[0]], boundary) <= _SAME:
                return point
    raise SystemExit(f"No split point of {graph.name} has the tensor of shape {boundary.shape} that torch has there.")


def flops_share(model: Model, point: int) -> float:
    """Part of the operations that is done before a split point."""
    graph = model.graph
    before = sum(layer.flops for unit in graph.units[:point] for layer in graph.layers[unit.start : unit.stop])
    return before / sum(layer.flops for layer in graph.layers)
