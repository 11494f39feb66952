"""What codecs do to a model: bytes of every coded boundary, and how far the outputs move when it is coded."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from partitioner.codec import BoundaryCoding
from partitioner.equality import l2_error
from partitioner.errors import PlanError, UnsupportedModelError
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.unit_chain import Tensors, UnitChain, open_chain

RoundTrip = Callable[[np.ndarray], tuple[np.ndarray, int]]
"""A tensor as it comes out at the other end, and the bytes that it had on the way."""

OnPosition = Callable[[int, int], None]
"""Called with the positions done and all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """One run of the model, as far as it has gone."""

    boundary: Tensors
    outputs: Tensors
    """Of the model, with nothing coded."""


@dataclass(slots=True)
class _Found:
    """What is known of one codec, position by position."""

    wire_bytes: list[int] = field(default_factory=list)
    output_errors: list[float] = field(default_factory=list)


def measure_codings(
    model: Model,
    round_trips: Mapping[str, RoundTrip],
    *,
    samples: Sequence[Mapping[str, np.ndarray]],
    positions: Collection[int] | None = None,
    on_progress: OnPosition = lambda _done, _total: None,
) -> tuple[BoundaryCoding, ...]:
    """Codes one boundary after another and looks at what it does to the outputs; see `equality.l2_error`.

    The error of a position is that of the worst output on the worst sample. It is 0 without a run where every tensor
    came back equal, so that lossless codecs are checked and cost nothing. Bytes are the mean of the samples. At most
    two boundaries of each sample are in memory, beside the weights.

    Args:
        model: To be run: the rest of it once for each position, lossy codec and sample, so n_units / 2 whole runs.
        round_trips: By codec.
        samples: Arrays of all inputs, by name, for each run.
        positions: Where errors are wanted, among 0 … n_units; everywhere where it is None. Elsewhere a codec that
            changes values has the error infinity.
        on_progress: Told after each position.

    Raises:
        PlanError: A position does not exist, or there are no samples.
        ModelError: A sample lacks an input.
        UnsupportedModelError: onnxruntime cannot run the model on a sample.
    """
    n_units = model.graph.n_units
    asked = frozenset(range(n_units + 1) if positions is None else positions)
    _check(model, samples, asked)
    found = {codec: _Found() for codec in round_trips}
    with open_chain(model) as chain:
        runs = [_enter(chain, sample) for sample in samples]
        for position in range(n_units + 1):
            for codec, round_trip in round_trips.items():
                _code_at(chain, position, round_trip, runs, found[codec], is_asked=position in asked)
            on_progress(position + 1, n_units + 1)
            if position < n_units:
                runs = [_Sample(boundary=chain.step(position, run.boundary), outputs=run.outputs) for run in runs]
    return tuple(
        BoundaryCoding(codec=codec, wire_bytes=tuple(one.wire_bytes), output_errors=tuple(one.output_errors))
        for codec, one in found.items()
    )


def _check(model: Model, samples: Sequence[Mapping[str, np.ndarray]], asked: frozenset[int]) -> None:
    n_units = model.graph.n_units
    outside = sorted(asked - set(range(n_units + 1)))
    if outside:
        raise PlanError(f"Positions {outside} of {model.graph.name!r} do not exist: want some of 0 … {n_units}.")
    if not samples:
        raise PlanError(f"Codecs of {model.graph.name!r} are measured on sample inputs: give one or more, not none.")


def _enter(chain: UnitChain, inputs: Mapping[str, np.ndarray]) -> _Sample:
    boundary = chain.enter(inputs)
    return _Sample(boundary=boundary, outputs=chain.finish(0, boundary))


def _code_at(
    chain: UnitChain, position: int, round_trip: RoundTrip, runs: Sequence[_Sample], found: _Found, *, is_asked: bool
) -> None:
    n_bytes, errors = [], []
    for run in runs:
        trips = {name: round_trip(values) for name, values in run.boundary.items()}
        coded = {name: values for name, (values, _) in trips.items()}
        n_bytes.append(sum(length for _, length in trips.values()))
        if _are_equal(coded, run.boundary):
            errors.append(0.0)
        else:
            errors.append(_error_of(chain, position, coded, run) if is_asked else math.inf)
    found.wire_bytes.append(math.ceil(sum(n_bytes) / len(n_bytes)))
    found.output_errors.append(max(errors))


def _error_of(chain: UnitChain, position: int, coded: Tensors, run: _Sample) -> float:
    """Infinity where the rest of the model fails on what came out of the codec."""
    try:
        outputs = chain.finish(position, coded)
    except UnsupportedModelError:
        return math.inf
    return max(l2_error(outputs[name], values) for name, values in run.outputs.items())


def _are_equal(coded: Tensors, sent: Tensors) -> bool:
    """Whether all bits came back: a NaN is equal to itself, and -0.0 is not 0.0."""
    return all(
        coded[name].dtype == values.dtype
        and coded[name].shape == values.shape
        and coded[name].tobytes() == values.tobytes()
        for name, values in sent.items()
    )
