"""What codecs do to a model's outputs: each boundary is coded once, alone, and the rest of the model runs on."""

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from partitioner.codec import BoundaryCoding
from partitioner.errors import ModelError, PlanError, UnsupportedModelError
from partitioner.graph import Graph
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.span_runner import SpanRunner, Tensors

RoundTrip = Callable[[np.ndarray], tuple[np.ndarray, int]]
"""A tensor as it is after encoding and decoding, and how many bytes it had in between."""

OnProgress = Callable[[int, int, str], None]
"""Called with positions done, all positions, and what is being done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    n_bytes: float
    """Mean over the samples."""
    error: float
    """Worst of the samples."""


def measure_codings(
    model: Model,
    round_trips: Mapping[str, RoundTrip],
    *,
    samples: Sequence[Tensors],
    positions: Iterable[int] | None = None,
    on_progress: OnProgress = lambda _done, _total, _what: None,
) -> tuple[BoundaryCoding, ...]:
    """Bytes and output errors of each codec at each position.

    The model is walked once from front to back: the units between two positions run once for each sample; at a position
    the session of all that follows is made once, runs on the boundary as it is, and on what each codec makes of it. In
    memory are one session and one boundary for each sample. A codec that gives back every bit has error 0 without a
    run. Where a position is not measured, or the coded boundary makes the model fail, the error is infinite, which
    allows the codec nowhere there; the bytes are then those of the tensors as they are.

    Args:
        model: To be walked.
        round_trips: By the codecs' names.
        samples: Inputs, at least one set. Bytes are their mean, rounded up; errors the worst of samples and outputs.
        positions: Those to measure, of 0 … n_units; all where None.
        on_progress: Told before each position and at the end.

    Returns:
        One coding for each entry of `round_trips`, in their order.

    Raises:
        ModelError: There are no samples, or one lacks an input.
        PlanError: A position is none of the model's.
        UnsupportedModelError: onnxruntime fails on a sample as it is.
    """
    graph = model.graph
    chosen = _checked(graph, positions)
    results: dict[int, dict[str, _Coded]] = {}
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        spans = SpanRunner(model, Path(folder))
        boundaries = [_inputs_of(graph, sample) for sample in samples]
        if not boundaries:
            raise ModelError(f"The codings of {graph.name} are measured on at least one sample of inputs, got none")
        for n_done, (before, position) in enumerate(pairwise([0, *chosen])):
            on_progress(n_done, len(chosen), f"position {position}")
            advance = spans.open(before, position)
            boundaries = [advance(boundary) for boundary in boundaries]
            results[position] = _measure_position(spans.open(position, graph.n_units), boundaries, round_trips)
    on_progress(len(chosen), len(chosen), "all positions")
    return tuple(_coding(graph, codec, results) for codec in round_trips)


def spread_positions(graph: Graph, n_most: int) -> tuple[int, ...]:
    """At most `n_most` positions, both ends among them; of each stretch in between the one with the fewest bytes.

    Raises:
        PlanError: `n_most` is less than 2.
    """
    if n_most < 2:
        raise PlanError(f"Positions of {graph.name!r} to measure must be 2 or more, not {n_most}")
    inner = range(1, graph.n_units)
    n_stretches = min(n_most - 2, len(inner))
    ends = [1 + len(inner) * index // n_stretches for index in range(n_stretches + 1)] if n_stretches else []
    lightest = (min(range(start, stop), key=graph.boundary_bytes) for start, stop in pairwise(ends))
    return (0, *lightest, graph.n_units)


def output_error(obtained: np.ndarray, expected: np.ndarray) -> float:
    """`|a - b|₂ / |b|₂` of one output; for whole numbers and truth values the share of elements that differ.

    Infinite where shape or type differ, where NaN and infinite values do not stand in the same places, and where
    something came out for what is zero throughout.
    """
    if obtained.shape != expected.shape or obtained.dtype != expected.dtype:
        return math.inf
    if expected.dtype.kind not in "fc":
        return float(np.mean(obtained != expected)) if expected.size else 0.0
    finite = np.isfinite(expected)
    is_same_elsewhere = np.array_equal(obtained[~finite], expected[~finite], equal_nan=True)
    if not is_same_elsewhere or not np.isfinite(obtained[finite]).all():
        return math.inf
    wide = np.result_type(expected.dtype, np.float64)
    wanted = expected[finite].astype(wide)
    distance = float(np.linalg.norm(obtained[finite].astype(wide) - wanted))
    size = float(np.linalg.norm(wanted))
    return distance / size if size else (0.0 if distance == 0 else math.inf)


def _checked(graph: Graph, positions: Iterable[int] | None) -> list[int]:
    chosen = sorted(set(range(graph.n_units + 1) if positions is None else positions))
    if not chosen or chosen[0] < 0 or chosen[-1] > graph.n_units:
        raise PlanError(f"Positions of {graph.name!r} to measure must lie in 0…{graph.n_units}, not {chosen}")
    return chosen


def _inputs_of(graph: Graph, sample: Tensors) -> Tensors:
    missing = [name for name in graph.boundaries[0] if name not in sample]
    if missing:
        raise ModelError(f"{graph.name} wants input {missing[0]!r}, which a sample lacks")
    return {name: sample[name] for name in graph.boundaries[0]}


def _measure_position(
    rest: Callable[[Tensors], Tensors], boundaries: Sequence[Tensors], round_trips: Mapping[str, RoundTrip]
) -> dict[str, _Coded]:
    n_bytes = dict.fromkeys(round_trips, 0)
    errors = dict.fromkeys(round_trips, 0.0)
    for boundary in boundaries:
        expected = rest(boundary)
        for codec, round_trip in round_trips.items():
            coded = {name: round_trip(values) for name, values in boundary.items()}
            n_bytes[codec] += sum(n_wire for _, n_wire in coded.values())
            decoded = {name: values for name, (values, _) in coded.items()}
            errors[codec] = max(errors[codec], _error_after(rest, boundary, decoded, expected))
    return {codec: _Coded(n_bytes=n_bytes[codec] / len(boundaries), error=errors[codec]) for codec in round_trips}


def _error_after(rest: Callable[[Tensors], Tensors], boundary: Tensors, decoded: Tensors, expected: Tensors) -> float:
    """Worst error of the outputs when `decoded` stands where `boundary` should."""
    if all(_is_same(decoded[name], values) for name, values in boundary.items()):
        return 0.0
    try:
        obtained = rest(decoded)
    except UnsupportedModelError:
        return math.inf  # an index out of range, say: this is the finding
    return max((output_error(obtained[name], values) for name, values in expected.items()), default=0.0)


def _is_same(obtained: np.ndarray, values: np.ndarray) -> bool:
    """Whether every bit is."""
    if obtained.shape != values.shape or obtained.dtype != values.dtype:
        return False
    first, second = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (obtained, values))
    return np.array_equal(first, second)


def _coding(graph: Graph, codec: str, results: Mapping[int, Mapping[str, _Coded]]) -> BoundaryCoding:
    untouched = [
        _Coded(n_bytes=graph.boundary_bytes(position), error=math.inf) for position in range(graph.n_units + 1)
    ]
    coded = [results[position][codec] if position in results else default for position, default in enumerate(untouched)]
    return BoundaryCoding(
        codec=codec,
        wire_bytes=tuple(math.ceil(one.n_bytes) for one in coded),
        output_errors=tuple(one.error for one in coded),
    )
