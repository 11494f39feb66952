"""Puts the bodies of a model's own functions in the place of their calls, so that they can be cut, too."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, helper

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.bodies import count_scopes, unique_name
from partitioner.onnx_io.constant_nodes import constant_of
from partitioner.onnx_io.node_reads import bodies_of, names_defined_in
from partitioner.onnx_io.sorting import node_name
from partitioner.onnx_io.tidy import replace_nodes
from partitioner.onnx_io.weights import INLINE_LIMIT_BYTES, tensor_bytes

_Key = tuple[str, str, str]
"""Domain, name and overload of a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Function:
    """A function whose large constants have become initializers of the graph."""

    proto: FunctionProto
    nodes: tuple[NodeProto, ...]
    """The other nodes."""
    global_name_of: Mapping[str, str]
    """Those constants → what the graph calls them."""


def inline_functions(proto: onnx.ModelProto, *, what: str) -> None:
    """Replaces every call of a function of the model by the nodes of the function, in place, however deep.

    The inliner of onnx is not used: release 1.23 forgets the default values of attributes, which changes numbers, and
    copies each constant to each call. As in onnxruntime, operators in a function get the meaning of the model's
    operator sets.

    Raises:
        UnsupportedModelError: A function calls itself; `what` names the model.
    """
    if not proto.functions:
        return
    n_scopes = count_scopes(proto.graph)
    functions = {_key_of(function): _take_constants(function, proto.graph, n_scopes) for function in proto.functions}
    known = {opset.domain for opset in proto.opset_import}
    for function in proto.functions:
        proto.opset_import.extend(opset for opset in function.opset_import if opset.domain not in known)
        known.update(opset.domain for opset in function.opset_import)
    _Inliner(functions, n_scopes, what).expand_graph(proto.graph, ())
    del proto.functions[:]


def _key_of(function: FunctionProto) -> _Key:
    return function.domain, function.name, function.overload


def _take_constants(function: FunctionProto, graph: GraphProto, n_scopes: Counter[str]) -> _Function:
    """Makes the large constants of a function initializers of the graph: one for all calls."""
    kept: list[NodeProto] = []
    global_name_of: dict[str, str] = {}
    for node in function.node:
        tensor = None if _has_references(node) else constant_of(node)
        if tensor is None or tensor_bytes(tensor) < INLINE_LIMIT_BYTES:
            kept.append(node)
            continue
        global_name_of[node.output[0]] = _free_name(f"{function.name}/{node.output[0]}", n_scopes)
        graph.initializer.append(tensor)
        graph.initializer[-1].name = global_name_of[node.output[0]]
    return _Function(proto=function, nodes=tuple(kept), global_name_of=global_name_of)


class _Inliner:
    """Holds what is the same for all calls."""

    def __init__(self, functions: Mapping[_Key, _Function], n_scopes: Counter[str], what: str) -> None:
        self._functions = functions
        self._n_scopes = n_scopes
        self._n_named: Counter[str] = Counter()  # onnxruntime wants each node of a graph to have a name of its own
        self._what = what

    def expand_graph(self, graph: GraphProto, callers: tuple[_Key, ...]) -> None:
        """Replaces the calls in a graph or body, in place; `callers` are the functions that it stands in."""
        if self._calls_any(graph):
            replace_nodes(graph, self._expanded(graph.node, callers))

    def _calls_any(self, graph: GraphProto) -> bool:
        return any(
            (node.domain, node.op_type, node.overload) in self._functions
            or any(self._calls_any(body) for body in bodies_of(node))
            for node in graph.node
        )

    def _expanded(self, nodes: Iterable[NodeProto], callers: tuple[_Key, ...]) -> Iterator[NodeProto]:
        for node in nodes:
            key = (node.domain, node.op_type, node.overload)
            if key not in self._functions:
                for body in bodies_of(node):
                    self.expand_graph(body, callers)
                yield node
            elif key in callers:
                raise UnsupportedModelError(
                    f"{self._what}: function {key[1]!r} calls itself (node {node_name(node)!r}): export it as a Loop"
                )
            else:
                yield from self._expanded(self._nodes_of_call(node, self._functions[key]), (*callers, key))

    def _nodes_of_call(self, call: NodeProto, function: _Function) -> list[NodeProto]:
        """The function's nodes under names of the place where it is called."""
        proto, prefix = function.proto, node_name(call)
        new_name_of = dict(function.global_name_of)
        new_name_of |= dict.fromkeys(proto.input, "") | dict(zip(proto.input, call.input, strict=False))
        results = [(inner, outer) for inner, outer in zip(proto.output, call.output, strict=False) if outer]
        taken = dict(reversed(results))
        made = [name for node in function.nodes for name in node.output if name]
        for name in made:
            new_name_of[name] = taken.get(name) or _free_name(f"{prefix}/{name}", self._n_scopes)
        given = {attribute.name: attribute for attribute in (*proto.attribute_proto, *call.attribute)}
        nodes = []
        for node in function.nodes:
            nodes.append(NodeProto())
            nodes[-1].CopyFrom(node)
            self._settle(nodes[-1], new_name_of, given, prefix)
            nodes[-1].name = _free_name(f"{prefix}/{node.name}", self._n_named) if node.name else ""
            if not node.metadata_props:
                nodes[-1].metadata_props.extend(call.metadata_props)
        passed_on = [(new_name_of[inner], outer) for inner, outer in results if new_name_of[inner] != outer]
        nodes.extend(helper.make_node("Identity", [name], [outer], name=f"{outer}/output") for name, outer in passed_on)
        return nodes

    def _settle(
        self, node: NodeProto, new_name_of: Mapping[str, str], given: Mapping[str, AttributeProto], prefix: str
    ) -> None:
        """Gives a copied node, bodies included, its new names and the values of the attributes that it refers to."""
        node.input[:] = [new_name_of.get(name, name) for name in node.input]
        node.output[:] = [new_name_of.get(name, name) for name in node.output]
        for body in bodies_of(node):
            local = {name: _free_name(f"{prefix}/{name}", self._n_scopes) for name in sorted(names_defined_in(body))}
            inner = {**new_name_of, **local}
            body.ClearField("value_info")
            for value in (*body.input, *body.output):
                value.name = inner.get(value.name, value.name)
            for tensor in body.initializer:
                tensor.name = inner[tensor.name]
            for sparse in body.sparse_initializer:
                sparse.values.name = inner[sparse.values.name]
            for inner_node in body.node:
                self._settle(inner_node, inner, given, prefix)
        _resolve_references(node, given)


def _resolve_references(node: NodeProto, given: Mapping[str, AttributeProto]) -> None:
    """Replaces attributes that refer to the function's by their values; those without one are left out."""
    if not _has_references(node):
        return
    resolved = NodeProto()
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            resolved.attribute.append(attribute)
        elif attribute.ref_attr_name in given:
            resolved.attribute.append(given[attribute.ref_attr_name])
            resolved.attribute[-1].name = attribute.name
    del node.attribute[:]
    node.attribute.extend(resolved.attribute)


def _has_references(node: NodeProto) -> bool:
    return any(attribute.ref_attr_name for attribute in node.attribute)


def _free_name(name: str, n_scopes: Counter[str]) -> str:
    """The name itself where no scope has it, else one like it; from now on counted as taken."""
    if n_scopes[name]:
        return unique_name(name, n_scopes)
    n_scopes[name] += 1
    return name
