"""Puts the nodes of a graph in an order in which each comes after what it reads, or says why there is none."""

import heapq
from collections.abc import Iterator, Sequence

from onnx import GraphProto, NodeProto

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.node_reads import reads_of, writes_of
from partitioner.onnx_io.wiring import Wiring

_MOST_NAMED = 6
"""A long cycle is not told in full."""


def sorted_nodes(graph: GraphProto, *, what: str) -> list[NodeProto]:
    """The nodes in topological order, the given one where it is one already.

    Raises:
        UnsupportedModelError: A tensor is made twice or by nobody, or nodes wait for each other; `what` is the model.
    """
    _check_made_once(graph, what)
    _check_all_made(graph, what)
    nodes = list(graph.node)
    wiring = Wiring(nodes)
    n_awaited = [sum(name in wiring.maker for name in reads) for reads in wiring.reads]
    ready = [index for index, count in enumerate(n_awaited) if not count]
    order: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for name in wiring.writes[index]:
            for reader in wiring.readers.get(name, ()):
                n_awaited[reader] -= 1
                if not n_awaited[reader]:
                    heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        cycle = _cycle(wiring, {*range(len(nodes))} - {*order})
        names = " → ".join(f"{node_name(nodes[index])!r}" for index in cycle[:_MOST_NAMED])
        raise UnsupportedModelError(f"{what}: nodes wait for each other in a cycle: {names} → …: export the model anew")
    return [nodes[index] for index in order]


def node_name(node: NodeProto) -> str:
    """What people find a node by."""
    return node.name or next(iter(writes_of(node)), node.op_type)


def _check_made_once(graph: GraphProto, what: str) -> None:
    maker_of: dict[str, str] = {}
    for name, maker in _definitions(graph):
        if name in maker_of:
            raise UnsupportedModelError(
                f"{what}: tensor {name!r} is made twice, by {maker_of[name]} and by {maker}: rename one of them"
            )
        maker_of[name] = maker


def _definitions(graph: GraphProto) -> Iterator[tuple[str, str]]:
    """Each name that is given to a tensor, and who gives it."""
    yield from ((value.name, "an input") for value in graph.input)
    yield from ((tensor.name, "an initializer") for tensor in graph.initializer)
    yield from ((tensor.values.name, "a sparse initializer") for tensor in graph.sparse_initializer)
    for node in graph.node:
        yield from ((name, f"node {node_name(node)!r}") for name in writes_of(node))


def _check_all_made(graph: GraphProto, what: str) -> None:
    made = {name for name, _ in _definitions(graph)}
    for node in graph.node:
        missing = next((name for name in reads_of(node) if name not in made), None)
        if missing is not None:
            raise UnsupportedModelError(
                f"{what}: node {node_name(node)!r} reads tensor {missing!r}, which nobody makes: export the model anew"
            )
    missing = next((value.name for value in graph.output if value.name not in made), None)
    if missing is not None:
        raise UnsupportedModelError(f"{what}: output {missing!r} is made by no node: export the model anew")


def _cycle(wiring: Wiring, stuck: set[int]) -> Sequence[int]:
    """Nodes that wait for each other, in the order in which data would flow; found by walking against it."""
    path: dict[int, None] = {}
    index = min(stuck)
    while index not in path:
        path[index] = None
        makers = (wiring.maker.get(name) for name in wiring.reads[index])
        index = next(maker for maker in makers if maker in stuck)
    walked = list(path)
    return walked[walked.index(index) :][::-1]
