"""How long a device takes for units [start, stop): measured where it was measured, estimated elsewhere."""

from dataclasses import dataclass

import numpy as np

from partitioner.errors import CostModelError
from partitioner.front import FloatArray
from partitioner.graph import Graph
from partitioner.profile import DeviceProfile

SCALE_BOUNDS = (0.1, 10.0)
"""Of the fitted scale. Sums of separately timed units miss the truth by a factor, never by an order of magnitude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditivePrior:
    """`seconds(start, stop) = fixed_seconds + scale · Σ unit_seconds[start:stop]`."""

    fixed_seconds: float
    scale: float
    unit_seconds: tuple[float, ...]


def stage_seconds(graph: Graph, profile: DeviceProfile) -> FloatArray:
    """Times of all spans on one device.

    A measured span has its median (that of the last measurement, where it was measured again). The others follow the
    `AdditivePrior` fitted to the measured ones. None has a unit that the device does not support.

    Returns:
        (n_units + 1, n_units + 1) float64 seconds at [start, stop]; infinity where start >= stop or a unit is not
        supported.

    Raises:
        CostModelError: No measured span covers some unit.
    """
    prior = fit_prior(graph, profile)
    totals = np.concatenate([[0.0], np.cumsum(prior.unit_seconds)])
    matrix: FloatArray = prior.fixed_seconds + prior.scale * (totals[None, :] - totals[:, None])
    matrix[np.tril_indices(len(totals))] = np.inf
    for segment in profile.segments:
        matrix[segment.start, segment.stop] = segment.seconds
    for unit in profile.unsupported_units:
        matrix[: unit + 1, unit + 1 :] = np.inf
    return matrix


def fit_prior(graph: Graph, profile: DeviceProfile) -> AdditivePrior:
    """Least relative squares over the device's measured spans of several units.

    Minimises `Σ ((fixed + scale · Σu − t) / t)²`, so that short and long spans count alike, over
    `0 ≤ fixed ≤ min t` and `SCALE_BOUNDS`. With fewer than two such spans there is nothing to fit: fixed 0, scale 1.

    Raises:
        CostModelError: No measured span covers some unit.
    """
    units = unit_seconds(graph, profile)
    latest = {(segment.start, segment.stop): segment for segment in profile.segments}
    several = [segment for segment in latest.values() if segment.stop - segment.start > 1]
    if len(several) < 2:
        return AdditivePrior(fixed_seconds=0.0, scale=1.0, unit_seconds=tuple(units.tolist()))
    measured = np.array([segment.seconds for segment in several])
    sums = np.array([units[segment.start : segment.stop].sum() for segment in several])
    fixed, scale = _fit_line(sums, measured)
    return AdditivePrior(fixed_seconds=fixed, scale=scale, unit_seconds=tuple(units.tolist()))


def unit_seconds(graph: Graph, profile: DeviceProfile) -> FloatArray:
    """Time of each unit alone; one that was not timed alone takes its share, by FLOPs, of the shortest span over it.

    Units that the device does not support have 0.

    Returns:
        (n_units,) float64.

    Raises:
        CostModelError: No measured span covers some unit.
    """
    weights = np.array([_share_weight(graph, index) for index in range(graph.n_units)], dtype=np.float64)
    seconds = np.full(graph.n_units, np.nan)
    shortest_last = sorted(profile.segments, key=lambda segment: segment.stop - segment.start, reverse=True)
    for segment in shortest_last:
        share = weights[segment.start : segment.stop]
        seconds[segment.start : segment.stop] = segment.seconds * share / share.sum()
    seconds[list(profile.unsupported_units)] = 0.0
    missing = np.flatnonzero(np.isnan(seconds)).tolist()
    if missing:
        raise CostModelError(
            f"Profile of {profile.device!r} has no time for {len(missing)} of {graph.n_units} units "
            f"(the first is unit {missing[0]}): profile the whole model on it, or its single units."
        )
    return seconds


def _share_weight(graph: Graph, unit: int) -> int:
    span = graph.units[unit]
    return 1 + sum(layer.flops for layer in graph.layers[span.start : span.stop])


def _fit_line(sums: FloatArray, measured: FloatArray) -> tuple[float, float]:
    """(fixed, scale) that minimise the relative squares within their bounds.

    The aim is convex, so that its least lies inside the box, or else on one of its edges, where one unknown is left.
    """
    design = np.column_stack([1.0 / measured, sums / measured])
    most_fixed = float(measured.min())
    candidates = [
        *_interior(design, most_fixed),
        *((fixed, _best_scale(design, fixed)) for fixed in (0.0, most_fixed)),
        *((_best_fixed(design, scale, most_fixed), scale) for scale in SCALE_BOUNDS),
    ]
    return min(candidates, key=lambda pair: float(np.sum((design @ np.array(pair) - 1.0) ** 2)))


def _interior(design: FloatArray, most_fixed: float) -> list[tuple[float, float]]:
    solution, _, rank, _ = np.linalg.lstsq(design, np.ones(len(design)), rcond=None)
    fixed, scale = float(solution[0]), float(solution[1])
    is_inside = rank == 2 and 0.0 <= fixed <= most_fixed and SCALE_BOUNDS[0] <= scale <= SCALE_BOUNDS[1]
    return [(fixed, scale)] if is_inside else []


def _best_scale(design: FloatArray, fixed: float) -> float:
    column = design[:, 1]
    return float(np.clip(column @ (1.0 - fixed * design[:, 0]) / (column @ column), *SCALE_BOUNDS))


def _best_fixed(design: FloatArray, scale: float, most_fixed: float) -> float:
    column = design[:, 0]
    return float(np.clip(column @ (1.0 - scale * design[:, 1]) / (column @ column), 0.0, most_fixed))
