"""Runs a graph to see what comes out, piece by piece, so that its weights may be larger than the memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto, helper

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.node_reads import reads_of, writes_of
from partitioner.onnx_io.session import open_frugal, run_session
from partitioner.onnx_io.tidy import drop_dead
from partitioner.onnx_io.trial import take_values, trial_copy
from partitioner.onnx_io.weights import FileRange, WeightStore, is_external, location_of, refer_to, tensor_bytes

MOST_PIECE_BYTES = 256 << 20
"""Of the weights of one piece, unless a single node reads more."""


def trial_values(
    proto: onnx.ModelProto,
    names: Sequence[str],
    store: WeightStore,
    samples: Sequence[Mapping[str, np.ndarray]],
    *,
    what: str,
    most_bytes: int = MOST_PIECE_BYTES,
) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Gives each of `names` with its values, one for each sample, and forgets what no later piece reads.

    Weights that lie in files are mapped from there for as long as their piece runs.

    Args:
        proto: With concrete inputs, sorted. Not changed.
        names: Tensors of any kind.
        store: Holds the weights.
        samples: Arrays of all inputs, by name, for each run.
        what: Name of the model for error messages.
        most_bytes: Of the weights of one piece.

    Raises:
        UnsupportedModelError: onnxruntime cannot run the model on these samples.
    """
    yield from ((name, tuple(sample[name] for sample in samples)) for name in names if name in samples[0])
    asked = frozenset(names) - samples[0].keys()
    if not asked:
        return
    exposed = _exposed(proto, sorted(asked))
    pieces = _pieces(exposed.graph, most_bytes)
    last_use = {name: index for index, nodes in enumerate(pieces) for node in nodes for name in reads_of(node)}
    alive: list[dict[str, np.ndarray]] = [dict(sample) for sample in samples]
    for index, nodes in enumerate(pieces):
        made = [name for node in nodes for name in writes_of(node)]
        wanted = [name for name in made if name in asked or last_use.get(name, -1) > index]
        _run_piece(_piece_proto(exposed, nodes, wanted, alive[0], what), store, alive, what)
        yield from ((name, tuple(values[name] for values in alive)) for name in wanted if name in asked)
        alive = [{name: value for name, value in values.items() if last_use.get(name, -1) > index} for values in alive]


def _exposed(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy whose outputs are `names`, without what they do not need."""
    copy = trial_copy(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(ValueInfoProto(name=name) for name in names)
    drop_dead(copy.graph)
    return copy


def _pieces(graph: GraphProto, most_bytes: int) -> list[list[NodeProto]]:
    """The nodes in their order, a new piece wherever the weights of the last would become too many."""
    n_bytes = {tensor.name: tensor_bytes(tensor) for tensor in graph.initializer if is_external(tensor)}
    pieces: list[list[NodeProto]] = [[]]
    held: set[str] = set()
    for node in graph.node:
        read = n_bytes.keys() & reads_of(node)
        if pieces[-1] and read - held and sum(n_bytes[name] for name in held | read) > most_bytes:
            pieces.append([])
            held = set()
        pieces[-1].append(node)
        held |= read
    return pieces


def _piece_proto(
    exposed: onnx.ModelProto, nodes: Sequence[NodeProto], wanted: Sequence[str], alive: Mapping[str, object], what: str
) -> onnx.ModelProto:
    """A model of some nodes that puts out the tensors `wanted`; what it reads from earlier pieces are inputs."""
    read = {name for node in nodes for name in reads_of(node)}
    made = {name for node in nodes for name in writes_of(node)}
    piece = onnx.ModelProto(ir_version=exposed.ir_version)
    piece.opset_import.extend(exposed.opset_import)
    graph = piece.graph
    graph.name = "piece"
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for tensor in exposed.graph.initializer if tensor.name in read)
    graph.sparse_initializer.extend(part for part in exposed.graph.sparse_initializer if part.values.name in read)
    declared = {value.name: value for value in (*exposed.graph.value_info, *exposed.graph.input)}
    given = {value.name for value in exposed.graph.input}
    for name in sorted(read & alive.keys() - made):
        graph.input.append(declared[name] if name in given else _value_info(name, alive[name], declared, what))
    graph.output.extend(ValueInfoProto(name=name) for name in wanted)
    return piece


def _value_info(name: str, value: object, declared: Mapping[str, ValueInfoProto], what: str) -> ValueInfoProto:
    """Type of a tensor that an earlier piece made; its sizes are left open."""
    if isinstance(value, np.ndarray) and value.dtype != np.dtype(object):
        axes = [f"{name}.{axis}" for axis in range(value.ndim)]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), axes)
    if name not in declared:
        raise UnsupportedModelError(
            f"{what}: {name!r} is no tensor, and its type cannot be told beforehand, "
            "so that this model can only be tried out whole, which its weights are too large for"
        )
    return declared[name]


def _run_piece(piece: onnx.ModelProto, store: WeightStore, alive: Sequence[dict[str, np.ndarray]], what: str) -> None:
    """Adds what a piece makes to the values that are alive, for each sample."""
    folder, weights = _refer_to_files(piece.graph, store)
    session = open_frugal(piece.SerializeToString(), weights=weights, folder=folder, what=what)
    names = [value.name for value in piece.graph.output]
    for values in alive:
        feed = {value.name: values[value.name] for value in piece.graph.input}
        values.update(run_session(session, names, feed, what=what))


def _refer_to_files(graph: GraphProto, store: WeightStore) -> tuple[Path | None, dict[str, np.ndarray]]:
    """Makes weights refer to the files where they lie, in place.

    Returns:
        The folder below which the files lie, None where there are none, and the values of all other weights.
    """
    weights: dict[str, np.ndarray] = {}
    ranges: list[tuple[onnx.TensorProto, FileRange]] = []
    for tensor in filter(is_external, graph.initializer):
        place = store.file_range(location_of(tensor))
        if place is None:
            weights |= take_values(tensor, store)
        else:
            ranges.append((tensor, place))
    if not ranges:
        return None, weights
    folder = Path(os.path.commonpath([place.path.parent for _, place in ranges]))
    for tensor, place in ranges:
        refer_to(tensor, place.path.relative_to(folder).as_posix(), place.n_bytes, offset=place.offset)
    return folder, weights
