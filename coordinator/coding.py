"""What codecs do to a model's boundaries, and how fast each node is at them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from coordinator.errors import MeasurementError
from coordinator.fleet import Fleet, FleetNode
from coordinator.probing import fit_line
from coordinator.profiling import OnProgress, ignore_progress
from node_agent.codecs import CODECS, decode, encode
from node_agent.messages import CodecProfileRequest, CodecSample, TensorSpec
from partitioner.codec import NO_CODEC, CodecRate, CodecTable
from partitioner.graph import Graph
from partitioner.onnx_io import Model
from partitioner.onnx_io.coding_trial import RoundTrip, measure_codings, spread_positions

ALL_CODECS = "all"
"""Stands for all codecs that every node has."""

N_SAMPLES = 4
"""Random inputs on which errors and bytes are measured."""

MOST_POSITIONS = 128
"""Of a network with more, so many are measured; boundaries are coded at those alone."""

_SIZES_BYTES = (4 << 10, 32 << 10, 256 << 10, 1 << 20)
_N_ROUNDS = 9


def profile_codecs(
    fleet: Fleet,
    model: Model,
    codecs: Iterable[str],
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> CodecTable:
    """Times codecs on the nodes, one after another, then codes the model's boundaries on this machine.

    Args:
        fleet: Connected nodes.
        model: Whose boundaries are coded; on the inputs that it was given, else on `N_SAMPLES` random ones.
        codecs: Names, or `all`; see `choose_codecs`.
        seed: Of inputs and tensors.
        on_progress: Told while it works.

    Raises:
        MeasurementError: A codec is unknown, or a node lacks it.
        NodeError: A node failed.
    """
    chosen = choose_codecs(fleet, codecs)
    graph = model.graph
    dtype = commonest_dtype(graph)
    rates = [
        rate
        for node in fleet.nodes
        for rate in _time_node(node, chosen, dtype, seed, lambda *step, name=node.name: on_progress(name, *step))
    ]
    n_samples = 1 if model.given_inputs else N_SAMPLES
    codings = measure_codings(
        model,
        {codec: round_trip(codec) for codec in chosen},
        samples=[model.sample_inputs(seed + index) for index in range(n_samples)],
        positions=spread_positions(graph, MOST_POSITIONS),
        on_progress=lambda *step: on_progress("outputs", *step),
    )
    return CodecTable(
        model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, codings=codings, rates=tuple(rates)
    )


def choose_codecs(fleet: Fleet, wanted: Iterable[str]) -> tuple[str, ...]:
    """The codecs that are asked for, each once, without `none`, which need not be measured.

    Raises:
        MeasurementError: A codec is unknown, a node lacks one that is named, or there is nothing to measure.
    """
    names = dict.fromkeys(wanted)
    unknown = [name for name in names if name not in (*CODECS, ALL_CODECS)]
    if unknown:
        raise MeasurementError(f"There is no codec {unknown[0]!r}: choose among {', '.join(CODECS)}, or {ALL_CODECS}.")
    named = [name for name in names if name != ALL_CODECS]
    lacking = [(node, name) for name in named for node in fleet.nodes if name not in node.description.codecs]
    if lacking:
        node, name = lacking[0]
        raise MeasurementError(
            f"Node '{node.name}' has no codec {name!r}, but {', '.join(node.description.codecs) or 'none at all'}: "
            "install splitfront[compression] there, or leave that codec out."
        )
    everywhere = [name for name in CODECS if all(name in node.description.codecs for node in fleet.nodes)]
    chosen = [name for name in (everywhere if ALL_CODECS in names else named) if name != NO_CODEC]
    if not chosen:
        raise MeasurementError(f"There is no codec to measure: choose among {', '.join(CODECS[1:])}.")
    return tuple(chosen)


def round_trip(codec: str) -> RoundTrip:
    """What a boundary tensor is after it was sent in a codec, and the bytes that were sent."""

    def there_and_back(values: np.ndarray) -> tuple[np.ndarray, int]:
        encoded = encode(codec, values)
        spec = TensorSpec(name="boundary", dtype=values.dtype.name, shape=values.shape)
        return decode(codec, encoded, spec), len(encoded)

    return there_and_back


def commonest_dtype(graph: Graph) -> str:
    """Element type that most bytes of the boundaries have."""
    n_bytes: Counter[str] = Counter()
    for name in {name for boundary in graph.boundaries for name in boundary}:
        n_bytes[graph.spec_of[name].dtype] += graph.spec_of[name].n_bytes
    return min(n_bytes, key=lambda dtype: (-n_bytes[dtype], dtype), default="float32")


def fit_rates(device: str, samples: Sequence[CodecSample]) -> tuple[CodecRate, ...]:
    """Rates of one device, from at least two sizes of each codec.

    Raises:
        MeasurementError: There are fewer.
    """
    return tuple(
        _fit_rate(device, codec, [sample for sample in samples if sample.codec == codec])
        for codec in dict.fromkeys(sample.codec for sample in samples)
    )


def _fit_rate(device: str, codec: str, samples: Sequence[CodecSample]) -> CodecRate:
    encode_fixed, encode_rate = fit_line([(sample.n_bytes, sample.encode_seconds) for sample in samples])
    decode_fixed, decode_rate = fit_line([(sample.n_bytes, sample.decode_seconds) for sample in samples])
    return CodecRate(
        device=device,
        codec=codec,
        encode_fixed_seconds=encode_fixed,
        encode_bytes_per_second=encode_rate,
        decode_fixed_seconds=decode_fixed,
        decode_bytes_per_second=decode_rate,
    )


def _time_node(
    node: FleetNode, codecs: Sequence[str], dtype: str, seed: int, on_progress: Callable[[int, int, str], None]
) -> tuple[CodecRate, ...]:
    """One call for each codec, so that progress is seen."""
    samples: list[CodecSample] = []
    for n_done, codec in enumerate(codecs):
        on_progress(n_done, len(codecs), f"timing {codec}")
        request = CodecProfileRequest(
            codecs=(codec,), dtype=dtype, sizes_bytes=_SIZES_BYTES, n_rounds=_N_ROUNDS, seed=seed
        )
        samples.extend(node.client.profile_codecs(request))
    on_progress(len(codecs), len(codecs), "timed")
    return fit_rates(node.name, samples)
