"""Opens shards within the limits of a node: the one way to a session."""

import threading
from collections.abc import Callable, Sequence

from node_agent.errors import RequestRejectedError
from node_agent.host.run_watch import RunWatch
from node_agent.host.runtime import RuntimeOptions, ShardSession, open_session
from node_agent.host.shard_store import ShardStore
from node_agent.host.trials.trials import Trials
from node_agent.messages import ShardRef, TensorSpec

_SPARE_THREADS = 64
"""Left for streams, calls and stages that come meanwhile."""


class ShardOpener:
    """Opens shards of one store, and counts what is open. Thread-safe."""

    def __init__(
        self,
        store: ShardStore,
        trials: Trials,
        watch: RunWatch,
        options: RuntimeOptions,
        *,
        n_sessions: int,
        threads_left: Callable[[], int],
    ) -> None:
        """Begins with none open.

        Args:
            store: Where the shards are.
            trials: What tries them.
            watch: What ends their runs.
            options: How sessions are opened.
            n_sessions: Most that may be open at once.
            threads_left: Says how many threads the system lets this process still start.
        """
        self._store = store
        self._trials = trials
        self._watch = watch
        self._options = options
        self.n_sessions = n_sessions
        """Most that may be open at once."""
        self._threads_left = threads_left
        self._lock = threading.Lock()
        self._n_open = 0

    @property
    def n_left(self) -> int:
        """Sessions that may still be opened, now, and leave threads for all else."""
        n_left = self.n_sessions - self._n_open
        n_started = self._options.n_started
        return min(n_left, (self._threads_left() - _SPARE_THREADS) // n_started) if n_started else n_left

    def open(self, shard: ShardRef, sizes: Sequence[TensorSpec] = ()) -> ShardSession:
        """A session on a shard; a shard that is new here is tried first.

        Args:
            shard: The shard.
            sizes: Shapes of tensors that may be its inputs, where the graph leaves them open.

        Raises:
            BlobMissingError: The store lacks the graph or a blob.
            ShardRejectedError: It is refused, or onnxruntime cannot load it.
            RequestRejectedError: As many sessions are open as the limit allows, or the system has no threads for it.
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
        session.when_closed(lambda: self._watch.remove(session))
        try:
            self._watch.add(session)
        except BaseException:
            session.close()
            raise
        return session

    def _count_one(self) -> None:
        with self._lock:
            if self._n_open >= self.n_sessions:
                raise RequestRejectedError(
                    f"{self._n_open} shards are open, as many as --max-sessions {self.n_sessions} allows: unload "
                    "stages, or raise the limit."
                )
            n_started, n_threads = self._options.n_started, self._threads_left()
            if n_started > n_threads:
                raise RequestRejectedError(
                    f"A shard needs {n_started} more threads, the system lets the agent start {max(0, n_threads)}: "
                    "unload stages, give it fewer --threads, or more tasks (systemd: TasksMax, Docker: --pids-limit)."
                )
            self._n_open += 1

    def _count_one_less(self) -> None:
        with self._lock:
            self._n_open -= 1
