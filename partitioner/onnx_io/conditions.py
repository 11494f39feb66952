"""Replaces an If whose condition is known by the branch that it takes."""

from collections import Counter
from collections.abc import Iterator

from onnx import GraphProto, NodeProto, helper, numpy_helper

from partitioner.onnx_io.bodies import count_scopes, unique_name
from partitioner.onnx_io.node_reads import rename_reads, writes_of
from partitioner.onnx_io.sorting import node_name
from partitioner.onnx_io.tidy import replace_nodes
from partitioner.onnx_io.weights import is_external

_STANDARD_DOMAINS = ("", "ai.onnx")


def inline_conditions(graph: GraphProto) -> int:
    """Puts the nodes of the taken branch in the place of each If on an initializer; returns how many there were."""
    known = {tensor.name: tensor for tensor in graph.initializer if not is_external(tensor)}
    n_scopes = None
    n_inlined = 0
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "If" or node.domain not in _STANDARD_DOMAINS or node.input[0] not in known:
            nodes.append(node)
            continue
        n_scopes = n_scopes or count_scopes(graph)
        is_true = bool(numpy_helper.to_array(known[node.input[0]]).item())
        nodes.extend(_inlined(node, _branch_of(node, is_true=is_true), graph, n_scopes))
        n_inlined += 1
    if n_inlined:
        replace_nodes(graph, nodes)
    return n_inlined


def _branch_of(node: NodeProto, *, is_true: bool) -> GraphProto:
    name = "then_branch" if is_true else "else_branch"
    return next(attribute.g for attribute in node.attribute if attribute.name == name)


def _inlined(node: NodeProto, branch: GraphProto, graph: GraphProto, n_scopes: Counter[str]) -> Iterator[NodeProto]:
    """Nodes of a branch under names of the outer graph, which gets its initializers."""
    new_name_of = _new_names(node, branch, n_scopes)
    for tensor in branch.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = new_name_of.get(tensor.name, tensor.name)
    for sparse in branch.sparse_initializer:
        graph.sparse_initializer.add().CopyFrom(sparse)
        graph.sparse_initializer[-1].values.name = new_name_of.get(sparse.values.name, sparse.values.name)
    for inner in branch.node:
        moved = NodeProto()
        moved.CopyFrom(inner)
        rename_reads(moved, new_name_of)
        moved.name = f"{node_name(node)}/{inner.name}" if inner.name else ""  # each name is for one node of a graph
        moved.output[:] = [new_name_of.get(name, name) for name in inner.output]
        yield moved
    for inner_value, outer in zip(branch.output, node.output, strict=True):
        source = new_name_of.get(inner_value.name, inner_value.name)
        if outer and source != outer:
            yield helper.make_node("Identity", [source], [outer], name=f"{outer}/output")


def _new_names(node: NodeProto, branch: GraphProto, n_scopes: Counter[str]) -> dict[str, str]:
    """Outputs take the names that they have outside; other names are kept unless another scope has them, too."""
    made = {name for inner in branch.node for name in writes_of(inner)}
    new_name_of: dict[str, str] = {}
    for inner_value, outer in zip(branch.output, node.output, strict=True):
        if outer and inner_value.name in made:
            new_name_of.setdefault(inner_value.name, outer)
    made |= {tensor.name for tensor in branch.initializer}
    made |= {tensor.values.name for tensor in branch.sparse_initializer}
    for name in sorted(made - new_name_of.keys()):
        if n_scopes[name] > 1:
            new_name_of[name] = unique_name(name, n_scopes)
    return new_name_of
