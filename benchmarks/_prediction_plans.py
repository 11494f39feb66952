"""Plans that the benchmark of predictions runs."""

from collections.abc import Sequence

import numpy as np

from partitioner.onnx_io import Model
from partitioner.plan import Stage

N_SPLITS = (10, 2)
"""Of a model, and of one that takes more operations than `MANY_FLOPS`, whose every visit takes long."""
MANY_FLOPS = 1e9
SHARES = ((0.4, 0.75), (0.3, 0.55, 0.8))
"""Of the operations before each split of the plans of three and four stages over a line of nodes."""

Stages = tuple[Stage, ...]


def plans_for(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Plans by label: splits over the first two nodes, and plans of three and four stages."""
    return series(model, names) | lines(model, names)


def series(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Splits over the first two nodes at split points far and wide, and each of the two alone.

    Few splits are at the middles of equal parts of the model: one at its end is much like a node alone.
    """
    points, n_units = block_level(model), model.graph.n_units
    n_many, n_few = N_SPLITS
    if sum(layer.flops for layer in model.graph.layers) > MANY_FLOPS:
        shares = (np.arange(n_few) + 0.5) / n_few
    else:
        shares = np.linspace(0, 1, n_many)
    chosen = np.unique((shares * (len(points) - 1)).round().astype(int))
    plans = {f"split {points[index]}": chain(names[:2], [points[index]], n_units) for index in chosen}
    return plans | {f"{name} alone": chain([name], [], n_units) for name in names[:2]}


def lines(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Three and four stages, as far as there are nodes."""
    plans = {}
    for shares in SHARES[: len(names) - 2]:
        points = [split_at(model, share) for share in shares]
        if len(set(points)) == len(points):
            plans[f"{len(points) + 1} stages"] = chain(names[: len(points) + 1], points, model.graph.n_units)
    return plans


def block_level(model: Model) -> list[int]:
    """Split points that one tensor crosses."""
    graph = model.graph
    return [point for point in range(1, graph.n_units) if len(graph.boundaries[point]) == 1]


def split_at(model: Model, share: float) -> int:
    """The block-level split point that leaves nearest to so large a share of the operations before it."""
    graph = model.graph
    flops = [sum(layer.flops for layer in graph.layers[unit.start : unit.stop]) for unit in graph.units]
    before = np.concatenate([[0], np.cumsum(flops)])
    return min(block_level(model), key=lambda point: abs(before[point] - share * before[-1]))


def chain(names: Sequence[str], points: Sequence[int], n_units: int) -> Stages:
    """Stages on nodes, in order, that end at these points."""
    ends = [0, *points, n_units]
    return tuple(
        Stage(device=name, start=start, stop=stop) for name, start, stop in zip(names, ends, ends[1:], strict=False)
    )
