"""Opens shards within the limits of a node: the one way to a session."""

import threading
from collections.abc import Sequence

from node_agent.errors import RequestRejectedError
from node_agent.host.run_watch import RunWatch
from node_agent.host.runtime import RuntimeOptions, ShardSession, open_session
from node_agent.host.shard_store import ShardStore
from node_agent.host.trials.trials import Trials
from node_agent.messages import ShardRef, TensorSpec


class ShardOpener:
    """Opens shards of one store, and counts what is open. Thread-safe."""

    def __init__(
        self, store: ShardStore, trials: Trials, watch: RunWatch, options: RuntimeOptions, n_sessions: int
    ) -> None:
        self._store = store
        self._trials = trials
        self._watch = watch
        self._options = options
        self.n_sessions = n_sessions
        """Most that may be open at once."""
        self._lock = threading.Lock()
        self._n_open = 0

    @property
    def n_left(self) -> int:
        """Sessions that may still be opened, now."""
        return self.n_sessions - self._n_open

    def open(self, shard: ShardRef, sizes: Sequence[TensorSpec] = ()) -> ShardSession:
        """A session on a shard; a shard that is new here is tried first.

        Args:
            shard: The shard.
            sizes: Shapes of tensors that may be its inputs, where the graph leaves them open.

        Raises:
            BlobMissingError: The store lacks the graph or a blob.
            ShardRejectedError: It is refused, or onnxruntime cannot load it.
            RequestRejectedError: As many sessions are open as the limit allows.
        """
        self._count_one()
        try:
            with self._store.in_use(shard):
                self._trials.check(shard, sizes)
                session = open_session(self._store, shard, self._options)
        except BaseException:
            self._count_one_less()
            raise
        session.when_closed(self._count_one_less)
        self._watch.add(session)
        session.when_closed(lambda: self._watch.remove(session))
        return session

    def _count_one(self) -> None:
        with self._lock:
            if self._n_open >= self.n_sessions:
                raise RequestRejectedError(
                    f"{self._n_open} shards are open, as many as --max-sessions {self.n_sessions} allows: unload "
                    "stages, or raise the limit."
                )
            self._n_open += 1

    def _count_one_less(self) -> None:
        with self._lock:
            self._n_open -= 1
