"""The split that all contestants share: after which of torch's blocks, and where that is in our graph."""

import tempfile
from collections.abc import Mapping
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

    block: str
    """What torchvision calls the last block before it."""
    n_blocks: int
    """Blocks before it, as `_baseline_torch.zoo_blocks` counts them."""
    point: int
    """Our split point."""


SPLITS = {
    "mobilenet_v2": SharedSplit(block="features[7]", n_blocks=8, point=21),
    "resnet18": SharedSplit(block="layer2[1]", n_blocks=5, point=11),
}
"""Where our halves are balanced: the busier one is done soonest there."""

BASELINE_BLOCKS = {("mobilenet_v2", 8): 4, ("resnet18", 1): 4, ("resnet18", 8): 4}
"""By model and batch, `n_blocks` of the split at which the eager halves are balanced, where that is another one."""


def check_split(model: Model, split: SharedSplit, inputs: Mapping[str, np.ndarray], boundary: np.ndarray) -> None:
    """Makes sure that the one tensor that crosses our split point is the one that torch has at its split.

    Raises:
        SystemExit: It is not.
    """
    shard = model.cut(0, split.point)
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        session = open_session(model.place_shard(shard, Path(folder)), what=model.graph.name)
        sent = run_shard(session, shard, inputs, what=model.graph.name)
    if len(sent) != 1 or relative_error(next(iter(sent.values())), boundary) > _SAME:
        raise SystemExit(
            f"Split point {split.point} of {model.graph.name} is not torch's split after {split.block}: the export "
            "has changed, find the point whose one boundary tensor is the same."
        )
