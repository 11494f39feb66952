"""Makes a graph easy to cut: sorted, without identities and dead nodes. No number that it computes changes."""

from collections.abc import Iterable

from onnx import GraphProto, NodeProto, TensorProto, helper

from partitioner.onnx_io.node_reads import reads_of, rename_reads, writes_of
from partitioner.onnx_io.sorting import sorted_nodes

_STANDARD_DOMAINS = ("", "ai.onnx")


def tidy(graph: GraphProto, *, what: str) -> None:
    """Sorts a graph, in place, and takes out what does nothing.

    Raises:
        UnsupportedModelError: As `sorted_nodes`; `what` names the model.
    """
    replace_nodes(graph, sorted_nodes(graph, what=what))
    drop_identities(graph)
    _detach_constant_outputs(graph)
    _split_dequantizers(graph)
    drop_dead(graph)


def drop_dead(graph: GraphProto) -> None:
    """Drops nodes that no output depends on, and initializers that nobody reads."""
    needed = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(writes_of(node)):
            kept.append(node)
            needed.update(reads_of(node))
    replace_nodes(graph, reversed(kept))
    tensors = [_copy_tensor(tensor) for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(tensors)


def drop_identities(graph: GraphProto) -> None:
    """Lets readers of an Identity or of an idle Dropout read its source; one that makes an output stays."""
    outputs = {value.name for value in graph.output}
    source_of: dict[str, str] = {}
    kept = []
    for node in graph.node:
        rename_reads(node, source_of)
        if _is_identity(node) and outputs.isdisjoint(node.output):
            source_of[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    replace_nodes(graph, kept)


def _is_identity(node: NodeProto) -> bool:
    if node.domain not in _STANDARD_DOMAINS:
        return False
    is_idle_dropout = node.op_type == "Dropout" and len(node.input) < 3 and len(writes_of(node)) == 1
    return node.op_type == "Identity" or is_idle_dropout


def _detach_constant_outputs(graph: GraphProto) -> None:
    """An output that is an initializer is made by an Identity, so that some shard sends it."""
    outputs = {value.name for value in graph.output}
    new_name_of = {tensor.name: f"{tensor.name}/constant" for tensor in graph.initializer if tensor.name in outputs}
    for node in graph.node:
        rename_reads(node, new_name_of)
    for tensor in graph.initializer:
        if tensor.name in new_name_of:
            old = tensor.name
            tensor.name = new_name_of[old]
            graph.node.append(helper.make_node("Identity", [tensor.name], [old], name=f"{old}/output"))


def _split_dequantizers(graph: GraphProto) -> None:
    """Gives each reader of a dequantised tensor a DequantizeLinear of its own, as onnxruntime does before it fuses.

    With one for all, a cut would part some reader from it, which would then compute in floating point.
    """
    constants = {tensor.name for tensor in graph.initializer}
    shared = {node.output[0]: node for node in graph.node if _is_live_dequantizer(node, constants)}
    nodes: list[NodeProto] = []
    n_copies = dict.fromkeys(shared, 0)
    for node in graph.node:
        if node.output and node.output[0] in shared:
            nodes.append(node)
            continue
        for name in [name for name in reads_of(node) if name in shared]:
            n_copies[name] += 1
            copy = NodeProto()
            copy.CopyFrom(shared[name])
            copy.output[0] = f"{name}/{n_copies[name]}"
            copy.name = f"{copy.name}/{n_copies[name]}" if copy.name else ""
            rename_reads(node, {name: copy.output[0]})
            nodes.append(copy)
        nodes.append(node)
    replace_nodes(graph, nodes)


def _is_live_dequantizer(node: NodeProto, constants: set[str]) -> bool:
    return node.op_type == "DequantizeLinear" and node.input[0] not in constants


def replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Leaves a graph with just these nodes, which may be its own."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def _copy_tensor(tensor: TensorProto) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(tensor)
    return copy
