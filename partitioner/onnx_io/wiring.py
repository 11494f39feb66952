"""Who makes and who reads each tensor."""

from collections.abc import Sequence

from onnx import NodeProto

from partitioner.onnx_io.node_reads import reads_of, writes_of


class Wiring:
    """Makers and readers of the tensors of a sequence of nodes. Not changed after construction."""

    def __init__(self, nodes: Sequence[NodeProto]) -> None:
        self.reads = tuple(reads_of(node) for node in nodes)
        """Names that each node reads, constants included."""
        self.writes = tuple(writes_of(node) for node in nodes)
        """Names that each node makes."""
        self.maker = {name: index for index, names in enumerate(self.writes) for name in names}
        """Index of the node that makes a tensor; inputs and constants have none."""
        self.readers: dict[str, list[int]] = {}
        """Indices of the nodes that read a tensor."""
        for index, names in enumerate(self.reads):
            for name in names:
                self.readers.setdefault(name, []).append(index)
