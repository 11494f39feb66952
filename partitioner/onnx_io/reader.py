"""Reads an ONNX file into a graph without weights and the store that holds them."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, NodeProto

from partitioner.errors import ModelFileError
from partitioner.onnx_io.bodies import lift_weights
from partitioner.onnx_io.constant_nodes import constant_of
from partitioner.onnx_io.functions import inline_functions
from partitioner.onnx_io.node_reads import bodies_of, tensors_inside
from partitioner.onnx_io.weights import WeightStore, inline, is_external, move_out

_SCOPES = "pkg.torch.onnx.name_scopes"
"""The one entry of a node's metadata that is kept: where in the torch module it comes from."""

_IR_WITH_FREE_INITIALIZERS = 4
"""Before this version every initializer had to be an input too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceModel:
    """A model as it was given, for any batch size."""

    name: str
    path: Path
    """The file itself, for the runs that everything else is compared with."""
    proto: onnx.ModelProto
    """Its graph; large initializers are external, their location is their digest. Not to be changed."""
    store: WeightStore
    input_names: tuple[str, ...]
    """What a caller feeds: the graph's inputs that have no default."""


def read_model(path: Path, *, name: str, trusted: bool = False) -> SourceModel:
    """Reads a model file; of its weights only what the digests need.

    Args:
        path: Of the file.
        name: For people.
        trusted: Whether the file is ours, external data named by digest (see `export_cache`).

    Raises:
        ModelFileError: Missing, a directory, empty, cut off, not ONNX, or external data is missing or elsewhere.
        UnsupportedModelError: A function of the model calls itself.
    """
    proto = _parse(path)
    inline_functions(proto, what=name)
    _keep_scopes_only(proto)
    folder = path.parent
    store = WeightStore()
    lift_weights(proto.graph)
    _inline_inner_tensors(proto.graph, folder)
    _lift_constants(proto.graph)
    for tensor in proto.graph.initializer:
        move_out(tensor, folder, store, trusted=trusted)
    defaults = {tensor.name for tensor in proto.graph.initializer}
    inputs = tuple(value.name for value in proto.graph.input if value.name not in defaults)
    _drop_defaulted_inputs(proto.graph, defaults)
    proto.ir_version = max(proto.ir_version, _IR_WITH_FREE_INITIALIZERS)
    return SourceModel(name=name, path=path, proto=proto, store=store, input_names=inputs)


def _parse(path: Path) -> onnx.ModelProto:
    content = _content(path)
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as exc:
        raise ModelFileError(
            f"{path} ({len(content)} bytes) is not an ONNX model, or was cut off: protobuf cannot read it; "
            "export or copy it again"
        ) from exc
    if proto.ir_version < 1 or not proto.opset_import or not proto.graph.node:
        raise ModelFileError(
            f"{path} ({len(content)} bytes) is not a complete ONNX model: it has IR version {proto.ir_version}, "
            f"{len(proto.opset_import)} operator sets and {len(proto.graph.node)} nodes"
        )
    return proto


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise ModelFileError(f"{path} is a directory: name the .onnx file in it")
    try:
        content = path.read_bytes()
    except FileNotFoundError as exc:
        raise ModelFileError(f"No such model file: {path}") from exc
    except OSError as exc:
        raise ModelFileError(f"Cannot read the model file {path}: {exc.strerror}") from exc
    if not content:
        raise ModelFileError(f"{path} is empty: export or copy it again")
    return content


def _keep_scopes_only(proto: onnx.ModelProto) -> None:
    """Drops what does not change the numbers and may name the machine that exported: stack traces, comments."""
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")
    proto.graph.ClearField("metadata_props")
    proto.graph.ClearField("doc_string")
    for node in proto.graph.node:
        _drop_comments_inside(node)
        kept = [entry.value for entry in node.metadata_props if entry.key == _SCOPES]
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        for value in kept:
            node.metadata_props.add(key=_SCOPES, value=value)
    for tensor in proto.graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.ClearField("doc_string")


def _drop_comments_inside(node: NodeProto) -> None:
    for body in bodies_of(node):
        body.ClearField("metadata_props")
        body.ClearField("doc_string")
        for inner in body.node:
            inner.ClearField("metadata_props")
            inner.ClearField("doc_string")
            _drop_comments_inside(inner)


def _inline_inner_tensors(graph: GraphProto, folder: Path) -> None:
    """Small weights in bodies, and those in attributes, stay there; those that lie in files are read in."""
    for node in graph.node:
        for tensor in tensors_inside(node):
            if is_external(tensor):
                inline(tensor, folder)


def _lift_constants(graph: GraphProto) -> None:
    """Turns nodes of type Constant into initializers."""
    kept = []
    for node in graph.node:
        tensor = constant_of(node)
        if tensor is None:
            kept.append(node)
        else:
            graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(kept)


def _drop_defaulted_inputs(graph: GraphProto, defaults: set[str]) -> None:
    kept = [value for value in graph.input if value.name not in defaults]
    del graph.input[:]
    graph.input.extend(kept)
