"""The ONNX graph of one stage, with its weights left outside."""

from dataclasses import dataclass

from partitioner.tensors import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes of one initializer, named by their digest."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Units [start, stop) as an ONNX graph. Equal spans of a model give equal bytes."""

    start: int
    stop: int
    graph: bytes
    """Serialized ModelProto; an initializer of 1 KiB or more is external data whose location is its digest."""
    sha256: str
    """Of `graph`."""
    blobs: tuple[Blob, ...]
    """Weights that the graph refers to, each once."""
    receives: tuple[TensorSpec, ...]
    """Tensors alive at `start`, in the order of `Graph.boundaries`."""
    sends: tuple[TensorSpec, ...]
    """Tensors alive at `stop`; those that are also received and that the graph does not make are relayed."""
