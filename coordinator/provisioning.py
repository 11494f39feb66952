"""Bringing shards to nodes: ask what is missing, send only that, and go on where a transfer was cut."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from node_agent.api import Node
from node_agent.errors import BlobCorruptError, NodeUnreachableError
from node_agent.messages import BlobRef, ShardRef
from partitioner.onnx_io import Model
from partitioner.shard import Shard

CHUNK_BYTES = 1 << 20
RETRY_SECONDS = (0.2, 0.4, 0.8)
"""Pauses before a cut transfer goes on; as many tries that bring nothing new are the last."""
_MEBIBYTE = 1 << 20
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SendingProgress:
    """How far one node's shards are on their way. Counts what was handed to the connection."""

    total_bytes: int = 0
    """What the node lacked, beginnings of blobs that it had not counted."""
    sent_bytes: int = 0
    """So far, what had to be sent twice counted twice."""
    began_at: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began_at

    def words(self) -> str:
        """`85 MB/s`."""
        return rate_words(self.sent_bytes, self.seconds)


def rate_words(n_bytes: int, seconds: float) -> str:
    """`85 MB/s`."""
    return f"{n_bytes / 1e6 / max(seconds, 1e-9):.3g} MB/s"


OnSending = Callable[[SendingProgress], None]
"""Called for each chunk."""


def shard_ref(shard: Shard) -> ShardRef:
    """How a shard is named on the wire."""
    return ShardRef(
        graph=BlobRef(sha256=shard.sha256, n_bytes=len(shard.graph)),
        blobs=tuple(BlobRef(sha256=blob.sha256, n_bytes=blob.n_bytes) for blob in shard.blobs),
    )


def sending_lane(report: Callable[[str, int, int, str], None], lane: str) -> OnSending:
    """Shows sending as a lane of a progress display, in MiB."""

    def show(progress: SendingProgress) -> None:
        n_done, n_total = round(progress.sent_bytes / _MEBIBYTE), round(progress.total_bytes / _MEBIBYTE)
        report(lane, n_done, n_total, f"MiB of weights, {progress.words()}")

    return show


def send_shards(
    node: Node, model: Model, shards: Iterable[Shard], on_sending: OnSending = lambda _progress: None
) -> int:
    """Stores the shards on a node and returns the bytes that had to be sent.

    All that is missing goes over one stream, so that a long way is waited for once. A transfer that is cut goes on
    where it was; what the node kept of it and finds wrong at the end is sent anew.

    Args:
        node: Where to.
        model: Where the weights are read from.
        shards: What to store; weights that they share are sent once.
        on_sending: Told for each chunk.

    Raises:
        NodeUnreachableError: The node was cut off, and several tries in a row brought nothing new.
        BlobCorruptError: A weight that was sent whole is not what its digest says.
        StoreFullError: The node has no room.
    """
    return _Sending(node, model, tuple(shards), on_sending).run()


class _Sending:
    """One node's shards on their way, over as many tries as it takes."""

    def __init__(self, node: Node, model: Model, shards: tuple[Shard, ...], on_sending: OnSending) -> None:
        self._node = node
        self._model = model
        self._graphs = {shard.sha256: shard.graph for shard in shards}
        refs = [ref for shard in shards for ref in (shard_ref(shard).graph, *shard_ref(shard).blobs)]
        self._wanted = {ref.sha256: ref for ref in refs}
        self._on_sending = on_sending
        self._progress = SendingProgress()
        self._least_left = math.inf
        self._n_idle_tries = 0

    def run(self) -> int:
        """Sends what is missing and returns how many bytes that took; see `send_shards`."""
        while True:
            try:
                self._try_once()
            except (NodeUnreachableError, _BeginningCorruptError) as exc:
                if self._n_idle_tries >= len(RETRY_SECONDS):
                    raise
                _logger.warning("a transfer of weights was cut and is tried again", extra={"error": str(exc)})
                time.sleep(RETRY_SECONDS[self._n_idle_tries])
                self._n_idle_tries += 1
            else:
                return self._progress.sent_bytes

    def _try_once(self) -> None:
        missing = self._node.missing_blobs(self._wanted.values())
        left = sum(ref.n_bytes - ref.n_have for ref in missing)
        if left < self._least_left:
            self._least_left, self._n_idle_tries = left, 0
        self._progress.total_bytes = self._progress.sent_bytes + left
        if not missing:
            return
        try:
            self._node.put_blobs((ref, self._chunks(ref)) for ref in missing)
        except BlobCorruptError as exc:
            if any(ref.n_have for ref in missing):  # the node has thrown away what it had: the rest is no longer enough
                raise _BeginningCorruptError(str(exc)) from exc
            raise

    def _chunks(self, ref: BlobRef) -> Iterator[bytes]:
        content = memoryview(self._graphs.get(ref.sha256) or self._model.read_blob(ref.sha256))
        for start in range(ref.n_have, len(content), CHUNK_BYTES):
            chunk = bytes(content[start : start + CHUNK_BYTES])
            yield chunk
            self._progress.sent_bytes += len(chunk)
            self._on_sending(self._progress)


class _BeginningCorruptError(BlobCorruptError):
    """A blob is corrupt whose beginning may have been kept of an earlier transfer."""
