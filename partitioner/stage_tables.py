"""What a stage of units [start, stop) takes on a device: for a lone request, and of the device's time under load.

The two differ. Handling of messages (threads, copying, a quota of the processor) delays a lone request by one amount
and takes the device's time by another. Both are seen only where a span was tried as a stage (`StageTrial`); a few
trials tell what the others have to expect.
"""

from dataclasses import dataclass

import numpy as np

from partitioner.front import BoolArray, FloatArray
from partitioner.graph import Graph
from partitioner.profile import DeviceProfile, StageTrial
from partitioner.stage_time import stage_seconds

FACTOR_BOUNDS = (0.5, 2.0)
"""Of computing in a stage over computing when profiled."""
LEAST_BUSY_SHARE = 0.5
"""Of the time of computing: a busy device computes at most twice as fast as one that wakes for a lone request."""

Span = tuple[int, int]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class StageTables:
    """All stages of one device. Each is (n_units + 1, n_units + 1) float64 seconds at [start, stop], read-only.

    Infinity where start >= stop or a unit is not supported.
    """

    compute: FloatArray
    """Computing alone."""
    handover: FloatArray
    """What a lone request spends at the stage beside computing."""
    seconds: FloatArray
    """`compute + handover`: what a lone request takes."""
    busy: FloatArray
    """For how long a request keeps the device busy."""


def stage_tables(graph: Graph, profile: DeviceProfile) -> StageTables:
    """Times of all stages on one device.

    - A span that was tried has the figures of its last trial.
    - The others compute as `stage_time.stage_seconds` says, times the median factor that trials met over segments.
    - Handover, and what a device is busy beside computing, follow `a + b · (received + sent bytes)`, `a` and `b` fitted
      to the trials; both are 0 without trials.
    - A device is busy for half of the time of computing at least.

    Raises:
        CostModelError: No measured span covers some unit.
    """
    trials = {(trial.start, trial.stop): trial for trial in profile.trials}
    profiled = stage_seconds(graph, profile)
    is_stage = np.isfinite(profiled)
    compute = profiled * _compute_factor(profile, trials)
    _fill(compute, {span: trial.compute_seconds for span, trial in trials.items()}, is_stage)
    moved = _moved_bytes(graph)
    own = {span: trial.handover_seconds for span, trial in trials.items()}
    handover = np.where(is_stage, _affine(moved, *_fit(moved, trials, own)), np.inf)
    _fill(handover, own, is_stage)
    own = {span: trial.busy_seconds for span, trial in trials.items()}
    beside = {span: trial.busy_seconds - trial.compute_seconds for span, trial in trials.items()}
    busy = compute + _affine(moved, *_fit(moved, trials, beside))
    _fill(busy, own, is_stage)
    tables = StageTables(
        compute=compute,
        handover=handover,
        seconds=compute + handover,
        busy=np.maximum(busy, LEAST_BUSY_SHARE * compute),
    )
    for matrix in (tables.compute, tables.handover, tables.seconds, tables.busy):
        matrix.flags.writeable = False
    return tables


def _compute_factor(profile: DeviceProfile, trials: dict[Span, StageTrial]) -> float:
    """Median of computing in a stage over computing when profiled, where both were measured; 1 where nothing was."""
    latest = {(segment.start, segment.stop): segment.seconds for segment in profile.segments}
    factors = [trial.compute_seconds / latest[span] for span, trial in trials.items() if span in latest]
    return float(np.clip(np.median(factors), *FACTOR_BOUNDS)) if factors else 1.0


def _moved_bytes(graph: Graph) -> FloatArray:
    """(n_units + 1, n_units + 1) bytes that a stage receives and sends."""
    boundary = np.array([graph.boundary_bytes(position) for position in range(graph.n_units + 1)], dtype=np.float64)
    return boundary[:, None] + boundary[None, :]


def _fit(moved: FloatArray, trials: dict[Span, StageTrial], seconds: dict[Span, float]) -> tuple[float, float]:
    """(a, b), both 0 or more, with the least `Σ ((a + b · moved − seconds) / compute)²` over the trials.

    So a trial counts by the share that it misses, be it short or long. What rises with the bytes needs trials of
    different bytes: with those of one size all is constant.

    The aim is convex, so that its least lies where both are positive, or else where one of them is 0.
    """
    if not trials:
        return 0.0, 0.0
    weights = np.array([1.0 / trial.compute_seconds for trial in trials.values()])
    sizes = np.array([moved[span] for span in trials])
    design, target = np.column_stack([weights, sizes * weights]), np.array(list(seconds.values())) * weights
    constant = max(float(design[:, 0] @ target / (design[:, 0] @ design[:, 0])), 0.0), 0.0
    if np.ptp(sizes) == 0.0:
        return constant
    rising = 0.0, max(float(design[:, 1] @ target / (design[:, 1] @ design[:, 1])), 0.0)
    a, b = np.linalg.lstsq(design / np.linalg.norm(design, axis=0), target, rcond=None)[0]
    a, b = np.array([a, b]) / np.linalg.norm(design, axis=0)
    candidates = [constant, rising, *([(float(a), float(b))] if a >= 0 and b >= 0 else [])]
    return min(candidates, key=lambda pair: float(np.sum((design @ np.array(pair) - target) ** 2)))


def _affine(moved: FloatArray, constant: float, slope: float) -> FloatArray:
    values: FloatArray = constant + slope * moved
    return values


def _fill(matrix: FloatArray, own: dict[Span, float], is_stage: BoolArray) -> None:
    """Puts the figures of trials into a matrix, but where no stage can be."""
    for span, seconds in own.items():
        if is_stage[span]:
            matrix[span] = seconds
