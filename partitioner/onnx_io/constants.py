"""What of a graph does not depend on its inputs."""

from collections.abc import Iterable
from dataclasses import dataclass

from onnx import GraphProto, NodeProto, SparseTensorProto, TensorProto

from partitioner.onnx_io.node_reads import reads_of, writes_of

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """Initializers and the nodes that read nothing else: copied to each shard that needs them."""

    tensors: dict[str, TensorProto]
    sparse: dict[str, SparseTensorProto]
    nodes: tuple[NodeProto, ...]
    """In the graph's order."""
    maker: dict[str, int]
    """Index in `nodes` of the node that makes a tensor."""

    def __contains__(self, name: str) -> bool:
        """Whether a tensor is constant."""
        return name in self.tensors or name in self.maker or name in self.sparse

    def closure(self, names: Iterable[str]) -> "NeededConstants":
        """Everything that must be copied to have the constants among `names`."""
        stack = [name for name in names if name in self]
        seen: set[str] = set()
        nodes: set[int] = set()
        while stack:
            name = stack.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.maker:
                nodes.add(self.maker[name])
                stack.extend(reads_of(self.nodes[self.maker[name]]))
        return NeededConstants(
            tensors=tuple(self.tensors[name] for name in sorted(seen) if name in self.tensors),
            sparse=tuple(self.sparse[name] for name in sorted(seen) if name in self.sparse),
            nodes=tuple(self.nodes[index] for index in sorted(nodes)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededConstants:
    """Constants that one shard needs, initializers by name, nodes in the graph's order."""

    tensors: tuple[TensorProto, ...]
    sparse: tuple[SparseTensorProto, ...]
    nodes: tuple[NodeProto, ...]


def find_constants(graph: GraphProto) -> Constants:
    """Constants of a graph whose nodes are sorted topologically and whose outputs all depend on a node."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}
    outputs = {value.name for value in graph.output}
    nodes: list[NodeProto] = []
    maker: dict[str, int] = {}
    for node in graph.node:
        is_constant = all(name in tensors or name in maker or name in sparse for name in reads_of(node))
        if is_constant and node.op_type not in _RANDOM and outputs.isdisjoint(writes_of(node)):
            maker.update(dict.fromkeys(writes_of(node), len(nodes)))
            nodes.append(node)
    return Constants(tensors=tensors, sparse=sparse, nodes=tuple(nodes), maker=maker)


def layer_nodes(graph: GraphProto, constants: Constants) -> tuple[NodeProto, ...]:
    """The other nodes, in the graph's order: those that become layers."""
    return tuple(node for node in graph.node if not all(name in constants.maker for name in writes_of(node)))
