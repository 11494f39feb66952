"""What a store holds and what may go: the decisions of `shard_store`, without files."""

from collections import Counter
from collections.abc import Iterable

PROTECTED_SECONDS = 60.0
"""A blob that was asked for or put is not evicted for so long: whoever did it is about to load it."""

PARTIAL_PREFIX = ".partial-"


def partial_name(sha256: str) -> str:
    """Under which the beginning of a blob is kept whose transfer was cut."""
    return PARTIAL_PREFIX + sha256


class StoreIndex:
    """Sizes, users and protection of what is stored. Not thread-safe: its store calls it under a lock.

    What is stored is named by its digest, or by `partial_name` of it where only its beginning came.

    Moments are given by the caller, on any clock that only goes forward.
    """

    def __init__(self, sizes: Iterable[tuple[str, int]] = ()) -> None:
        """An index of (sha256, bytes), least recently used first."""
        self._sizes = dict(sizes)
        self._promised: dict[str, int] = {}
        self._n_users: Counter[str] = Counter()
        self._protected_until: dict[str, float] = {}

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._sizes

    def size(self, name: str) -> int:
        """Bytes of something stored; 0 where it is not."""
        return self._sizes.get(name, 0)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all that is stored."""
        return sum(self._sizes.values())

    @property
    def promised_bytes(self) -> int:
        """Bytes of all that is coming in."""
        return sum(self._promised.values())

    @property
    def promised_names(self) -> tuple[str, ...]:
        """Temporary names of all that is coming in."""
        return tuple(self._promised)

    def promise(self, name: str, n_bytes: int) -> None:
        """Keeps room for something that comes in under the temporary `name`."""
        self._promised[name] = n_bytes

    def release(self, name: str) -> None:
        """Gives the room of `name` back, whether or not it has arrived; once is enough."""
        self._promised.pop(name, None)

    def add(self, sha256: str, n_bytes: int) -> None:
        """Something has arrived."""
        self._sizes[sha256] = n_bytes

    def remove(self, sha256: str) -> None:
        """Something is gone."""
        self._sizes.pop(sha256, None)

    def touch(self, sha256: str) -> None:
        """Something was used, and is now the most recently used."""
        self._sizes[sha256] = self._sizes.pop(sha256)

    def protect(self, digests: Iterable[str], now: float) -> None:
        """Keeps `digests`, stored or not, and what came of them, from eviction for a minute."""
        self._protected_until = {name: until for name, until in self._protected_until.items() if until > now}
        for sha256 in digests:
            self._protected_until[sha256] = self._protected_until[partial_name(sha256)] = now + PROTECTED_SECONDS

    def take(self, digests: Iterable[str]) -> None:
        """Counts one more user of each."""
        self._n_users.update(digests)

    def leave(self, digests: Iterable[str]) -> None:
        """Counts one user less of each."""
        self._n_users.subtract(digests)
        self._n_users = +self._n_users

    def evictable(self, now: float) -> tuple[tuple[str, int], ...]:
        """(name, bytes) of what may go: beginnings first, then what was not used for longest."""
        found = [
            (name, size)
            for name, size in self._sizes.items()
            if not self._n_users[name] and self._protected_until.get(name, now) <= now
        ]
        return tuple(sorted(found, key=lambda pair: not pair[0].startswith(PARTIAL_PREFIX)))

    def victims(self, n_bytes: int, now: float) -> tuple[str, ...] | None:
        """What should go to gain `n_bytes`; None when all that may go is too little."""
        victims = []
        for sha256, size in self.evictable(now):
            if n_bytes <= 0:
                break
            victims.append(sha256)
            n_bytes -= size
        return tuple(victims) if n_bytes <= 0 else None
