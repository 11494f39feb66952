"""What a node reads: its inputs, and what the bodies of If, Loop and Scan take from outside."""

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto


def reads_of(node: NodeProto) -> tuple[str, ...]:
    """Names of all tensors that a node reads, each once, those captured by its bodies last."""
    names = dict.fromkeys(name for name in node.input if name)
    for body in bodies_of(node):
        names.update(dict.fromkeys(captures_of(body)))
    return tuple(names)


def writes_of(node: NodeProto) -> tuple[str, ...]:
    """Names of the tensors that a node makes; optional outputs that it leaves out are not among them."""
    return tuple(name for name in node.output if name)


def bodies_of(node: NodeProto) -> Iterator[GraphProto]:
    """Graphs among the attributes of a node."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def tensors_inside(node: NodeProto) -> Iterator[TensorProto]:
    """Every tensor among a node's attributes and in its bodies, however deep."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
        elif attribute.type == AttributeProto.TENSORS:
            yield from attribute.tensors
    for body in bodies_of(node):
        yield from body.initializer
        for inner in body.node:
            yield from tensors_inside(inner)


def rename_reads(node: NodeProto, new_name_of: dict[str, str]) -> None:
    """Makes a node, bodies included, read other tensors. Names that a body makes itself are left alone."""
    for index, name in enumerate(node.input):
        if name in new_name_of:
            node.input[index] = new_name_of[name]
    for body in bodies_of(node):
        local = names_defined_in(body)
        outer = {old: new for old, new in new_name_of.items() if old not in local}
        for inner in body.node:
            rename_reads(inner, outer)
        for output in body.output:
            output.name = outer.get(output.name, output.name)


def captures_of(body: GraphProto) -> Iterator[str]:
    """Names of the tensors that a body takes from outside, some more than once."""
    local = names_defined_in(body)
    for node in body.node:
        yield from (name for name in reads_of(node) if name not in local)
    yield from (output.name for output in body.output if output.name not in local)


def names_defined_in(body: GraphProto) -> set[str]:
    """Names that a graph or body gives to tensors itself; those of the bodies in it are left out."""
    local = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    local |= {tensor.values.name for tensor in body.sparse_initializer}
    return local.union(*(writes_of(node) for node in body.node))
