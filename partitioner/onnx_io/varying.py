"""Tensors whose shape follows the values of the inputs: no run on a sample can show that it stays."""

from collections.abc import Collection, Iterator

from onnx import GraphProto, NodeProto

from partitioner.onnx_io.inference import static_shapes
from partitioner.onnx_io.node_reads import bodies_of, reads_of, writes_of

_MEASURES = {"Shape", "Size"}
"""Read the shape of a tensor alone."""

_SIZES = {
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "NonZero": (0,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Tile": (1, 2),
    "TopK": (1,),
    "Unique": (0,),
    "Upsample": (1,),
}
"""Operator → places of the inputs whose values its outputs have their sizes from."""


def find_varying(graph: GraphProto, held: Collection[str]) -> frozenset[str]:
    """Names of the tensors whose shape follows the values of the inputs; those inside of bodies are left out.

    A shape that inference knows does not, nor does one that follows from other shapes, however long the way. Operators
    that are not in the table are taken to make their shapes from shapes.

    Args:
        graph: Sorted, with concrete inputs and `value_info` as inferred.
        held: Inputs that always have the value that they were given.
    """
    live = {value.name for value in graph.input} - set(held)
    varying: set[str] = set()
    _follow(graph, live, varying)
    return frozenset(varying)


def _follow(graph: GraphProto, live: set[str], varying: set[str]) -> None:
    """Adds the tensors whose values follow the inputs to `live`, and those whose shapes do to `varying`."""
    known = static_shapes(graph)
    for node in graph.node:
        source = varying if node.op_type in _MEASURES else live
        if not source.isdisjoint(reads_of(node)):
            live.update(writes_of(node))
        varying.update(name for name in _varying_results(node, live, varying) if name and name not in known)


def _varying_results(node: NodeProto, live: set[str], varying: set[str]) -> Iterator[str]:
    """What a node makes in a shape that follows the inputs, unless inference knows it."""
    sizes = {node.input[place] for place in _SIZES.get(node.op_type, ()) if place < len(node.input)}
    if not live.isdisjoint(sizes) or not varying.isdisjoint(reads_of(node)):
        yield from node.output
    elif node.op_type == "Loop":
        yield from _varying_of_loop(node, live, varying)
    else:
        yield from _varying_of_bodies(node, live, varying)


def _varying_of_loop(node: NodeProto, live: set[str], varying: set[str]) -> Iterator[str]:
    """Where values tell how often a loop goes round, it gathers as many results, and may change its state as often."""
    (body,) = bodies_of(node)
    inner_live, inner_varying = _follow_body(node, body, live, varying)
    ends_by_value = not live.isdisjoint(node.input[:2]) or body.output[0].name in inner_live
    states = {value.name for value in body.output[1 : len(node.input) - 1]}
    steady = states & static_shapes(body).keys()
    for outer, inner in zip(node.output, body.output[1:], strict=False):
        if inner.name in inner_varying or (ends_by_value and inner.name not in steady):
            yield outer


def _varying_of_bodies(node: NodeProto, live: set[str], varying: set[str]) -> Iterator[str]:
    """What varies within a branch, or from branch to branch where values choose."""
    bodies = tuple(bodies_of(node))
    inner_varying = [_follow_body(node, body, live, varying)[1] for body in bodies]
    shapes = [static_shapes(body) for body in bodies]
    is_chosen = node.op_type == "If" and node.input[0] in live
    for outer, *inner in zip(node.output, *(body.output for body in bodies), strict=False):
        names = [value.name for value in inner]
        differing = {known[name] for known, name in zip(shapes, names, strict=True) if name in known}
        if (is_chosen and len(differing) > 1) or any(map(set.__contains__, inner_varying, names)):
            yield outer


def _follow_body(node: NodeProto, body: GraphProto, live: set[str], varying: set[str]) -> tuple[set[str], set[str]]:
    """`live` and `varying` in a body, which may go round: what it puts out is what it starts from again."""
    inputs = [value.name for value in body.input]
    outputs = [value.name for value in body.output]
    passed = (*zip(node.input, inputs, strict=False), *zip(outputs, inputs[node.op_type == "Loop" :], strict=False))
    found = set(live), set(varying)
    n_known = -1
    while sum(map(len, found)) > n_known:
        n_known = sum(map(len, found))
        for names in found:
            names.update(inner for outer, inner in passed if outer in names)
        _follow(body, *found)
    return found
