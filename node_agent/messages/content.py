"""What a node's store holds: blobs, and shards made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Content, named by its digest."""

    sha256: str
    n_bytes: int
    n_have: int = 0
    """Of a missing one: bytes of its beginning that are there. Of one that is sent: what follows them is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, element type and shape of one tensor."""

    name: str
    dtype: str
    """NumPy's name."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRef:
    """An ONNX graph and the blobs that hold its weights; the graph names a blob by its digest."""

    graph: BlobRef
    blobs: tuple[BlobRef, ...] = ()
