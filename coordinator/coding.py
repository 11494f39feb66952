"""Measuring codecs: what they do to a model's boundaries, here, and how fast each node is at them, there."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from coordinator.fleet import Fleet, FleetNode, on_each_node
from coordinator.profiling import OnProgress, ignore_progress
from coordinator.statistics import fit_line
from node_agent.codecs import CODECS, available_codecs, decode, encode
from node_agent.messages import CodecProfileRequest, CodecSample, TensorSpec
from partitioner.codec import NO_CODEC, CodecRate, CodecTable
from partitioner.errors import PlanError
from partitioner.onnx_io import Model, RoundTrip, measure_codings

ALL = "all"
"""Word for all codecs that this machine and every node have."""
SIZES_BYTES = (4 << 10, 32 << 10, 256 << 10, 2 << 20)
"""Of the tensors timed, in rising order; the larger ones only where a boundary is as large."""
N_ROUNDS = 9
N_SAMPLES = 3
"""Inputs on which errors are measured, where none were given."""
_LARGEST_RATE = 1e12
"""Bytes per second of what is too quick for any dependence on its size to be seen."""


def check_codecs(wanted: Sequence[str]) -> None:
    """Raises `PlanError` unless all words are codecs; before anything is started."""
    unknown = [word for word in wanted if word not in (*CODECS, ALL)]
    if unknown:
        raise PlanError(
            f"Codecs {', '.join(map(repr, unknown))} are unknown: choose among {', '.join(_coding(CODECS))}, or {ALL}."
        )


def choose_codecs(fleet: Fleet, wanted: Sequence[str]) -> tuple[str, ...]:
    """The codecs to measure: those wanted, each once, or all that this machine and every node have.

    Raises:
        PlanError: A codec is unknown, or missing somewhere; the message says where and what to do.
    """
    check_codecs(wanted)
    owned = {"this machine": available_codecs(), **{f"'{node.name}'": node.description.codecs for node in fleet.nodes}}
    if ALL in wanted:
        return tuple(codec for codec in _coding(CODECS) if all(codec in codecs for codecs in owned.values()))
    lacks = [
        f"{place} lacks {', '.join(missing)} (it has {', '.join(codecs) or 'none'})"
        for place, codecs in owned.items()
        if (missing := [codec for codec in _coding(wanted) if codec not in codecs])
    ]
    if lacks:
        raise PlanError(f"{'; '.join(lacks)}: install splitfront[compression] there, or leave the codec out.")
    return _coding(wanted)


def _coding(codecs: Sequence[str]) -> tuple[str, ...]:
    """Without repetitions and without the one that does nothing."""
    return tuple(codec for codec in dict.fromkeys(codecs) if codec != NO_CODEC)


def profile_codecs(
    fleet: Fleet, model: Model, codecs: Sequence[str], *, seed: int = 0, on_progress: OnProgress = ignore_progress
) -> CodecTable:
    """Times codecs on every node, then codes every boundary of the model here.

    Args:
        fleet: Connected nodes that have the codecs.
        model: Whose boundaries are coded, on the inputs that it was loaded with or on random ones.
        codecs: As `choose_codecs` gives them.
        seed: Of the random inputs and the order of timing.
        on_progress: Told while it works.

    Raises:
        NodeError: A node failed or lacks a codec.
        UnsupportedModelError: The model cannot be run.
    """
    graph = model.graph
    n_samples = 1 if model.given_inputs else N_SAMPLES
    rates = time_codecs(fleet, codecs, largest_bytes=_largest_boundary(model), seed=seed, on_progress=on_progress)
    codings = measure_codings(
        model,
        {codec: round_trip_of(codec) for codec in codecs},
        samples=[model.sample_inputs(seed + number) for number in range(n_samples)],
        on_progress=lambda n_done, n_total: on_progress("output errors", n_done, n_total, "coding boundaries"),
    )
    return CodecTable(
        model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, codings=codings, rates=rates
    )


def _largest_boundary(model: Model) -> int:
    graph = model.graph
    return max(graph.boundary_bytes(position) for position in range(graph.n_units + 1))


def round_trip_of(codec: str) -> RoundTrip:
    """Encodes and decodes a tensor as two nodes would."""

    def round_trip(values: np.ndarray) -> tuple[np.ndarray, int]:
        encoded = encode(codec, values)
        spec = TensorSpec(name="boundary", dtype=values.dtype.name, shape=values.shape)
        return decode(codec, encoded, spec), len(encoded)

    return round_trip


def time_codecs(
    fleet: Fleet,
    codecs: Sequence[str],
    *,
    largest_bytes: int,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> tuple[CodecRate, ...]:
    """Rates of every node and codec; nodes of one host one after another, hosts side by side.

    Raises:
        NodeError: A node failed or lacks a codec.
    """
    sizes = SIZES_BYTES[:2] + tuple(size for size in SIZES_BYTES[2:] if size <= largest_bytes)
    request = CodecProfileRequest(
        codecs=tuple(codecs), dtype="float32", sizes_bytes=sizes, n_rounds=N_ROUNDS, seed=seed
    )
    rates = on_each_node(fleet.nodes, lambda node: _time_node(node, request, on_progress))
    return tuple(chain.from_iterable(rates))


def _time_node(node: FleetNode, request: CodecProfileRequest, on_progress: OnProgress) -> list[CodecRate]:
    on_progress(node.name, 0, 1, "timing codecs")
    samples = node.client.profile_codecs(request)
    on_progress(node.name, 1, 1, "timed codecs")
    return [
        fit_rate(node.name, codec, [sample for sample in samples if sample.codec == codec]) for codec in request.codecs
    ]


def fit_rate(device: str, codec: str, samples: Sequence[CodecSample]) -> CodecRate:
    """The line through the samples of one codec on one device, in each direction.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    encode_fixed, encode_slope = fit_line([(sample.n_bytes, sample.encode_seconds) for sample in samples])
    decode_fixed, decode_slope = fit_line([(sample.n_bytes, sample.decode_seconds) for sample in samples])
    return CodecRate(
        device=device,
        codec=codec,
        encode_fixed_seconds=encode_fixed,
        encode_bytes_per_second=1 / max(encode_slope, 1 / _LARGEST_RATE),
        decode_fixed_seconds=decode_fixed,
        decode_bytes_per_second=1 / max(decode_slope, 1 / _LARGEST_RATE),
    )
