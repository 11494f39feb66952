"""Bringing shards to nodes: ask what is missing, send only that."""

from collections.abc import Callable, Iterable, Iterator

from node_agent.api import Node
from node_agent.messages import BlobRef, ShardRef
from partitioner.onnx_io import Model
from partitioner.shard import Shard

CHUNK_BYTES = 1 << 20


def shard_ref(shard: Shard) -> ShardRef:
    """How a shard is named on the wire."""
    return ShardRef(
        graph=BlobRef(sha256=shard.sha256, n_bytes=len(shard.graph)),
        blobs=tuple(BlobRef(sha256=blob.sha256, n_bytes=blob.n_bytes) for blob in shard.blobs),
    )


def send_shards(
    node: Node, model: Model, shards: Iterable[Shard], on_sent: Callable[[int, int], None] = lambda _done, _total: None
) -> int:
    """Stores the shards on a node and returns the bytes that had to be sent.

    Args:
        node: Where to.
        model: Where the weights are read from.
        shards: What to store; weights that they share are sent once.
        on_sent: Called with bytes sent and bytes to send.
    """
    graphs = {shard.sha256: shard.graph for shard in shards}
    wanted = {ref.sha256: ref for shard in shards for ref in (shard_ref(shard).graph, *shard_ref(shard).blobs)}
    missing = node.missing_blobs(wanted.values())
    total = sum(ref.n_bytes for ref in missing)
    sent = 0
    for ref in missing:
        content = graphs.get(ref.sha256) or model.read_blob(ref.sha256)
        node.put_blob(ref, _chunks(content))
        sent += ref.n_bytes
        on_sent(sent, total)
    return sent


def _chunks(content: bytes) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(view), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])
