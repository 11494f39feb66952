"""What the cache knows of one node's spans, and what it is told of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from coordinator.profile_cache import Entry, ProfileCache, device_fingerprint
from coordinator.profiling.spans import Span
from coordinator.profiling.timing import Samples
from node_agent.messages import NodeDescription, SegmentSamples


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Recollection:
    """Earlier samples of some spans on one node; new ones are stored behind them while they come.

    Without a cache nothing is known and nothing stored. Used by one thread.
    """

    def __init__(
        self,
        cache: ProfileCache | None,
        node: str,
        description: NodeDescription,
        digests: Mapping[Span, str],
        *,
        is_fresh: bool = False,
        now: Callable[[], str] = _utc_now,
    ) -> None:
        """Reads what there is of the spans, each with the digest of its shard's graph; nothing if `is_fresh`."""
        self._cache = cache
        self._digests = digests
        self._now = now
        self._fingerprint = device_fingerprint(description) if cache is not None else ""
        self.earlier: dict[Span, Entry] = {}
        """Entries that the cache had, known ones and those whose timing was broken off."""
        if cache is not None and not is_fresh:
            names = {digest: f"segment {start}:{stop} on '{node}'" for (start, stop), digest in digests.items()}
            found = cache.load(self._fingerprint, names)
            self.earlier = {span: found[digest] for span, digest in digests.items() if digest in found}

    def say(self, text: str) -> None:
        """Tells the user."""
        if self._cache is not None:
            self._cache.say(text)

    def forget(self) -> None:
        """Leaves earlier samples out from now on; entries are replaced when new ones are stored."""
        self.earlier = {}

    def seconds(self, span: Span, new: SegmentSamples) -> tuple[float, ...]:
        """Earlier samples of a span, then new ones."""
        return (self.earlier[span].seconds if span in self.earlier else ()) + new.seconds

    def store(self, samples: Samples, share_seconds: float = 0.0) -> None:
        """Stores all samples of some spans, earlier ones included.

        Args:
            samples: All new samples of each span.
            share_seconds: Budget that each was timed for to its end; 0 while that goes on.
        """
        if self._cache is None:
            return
        entries = {
            self._digests[span]: Entry(
                seconds=self.seconds(span, new),
                session_seconds=new.session_seconds,
                memory_bytes=new.memory_bytes,
                share_seconds=share_seconds,
                measured_at=self._now(),
            )
            for span, new in samples.items()
        }
        self._cache.save(self._fingerprint, entries)


def known_line(node: str, known: Sequence[Entry], n_spans: int, n_begun: int) -> str:
    """`pi-1: 212 of 230 segments known, 18 to time`, and since when."""
    since = f" (measured since {min(entry.measured_at for entry in known)})" if known else ""
    begun = f", {n_begun} of them begun" if n_begun else ""
    return f"  {node}: {len(known)} of {n_spans} segments known, {n_spans - len(known)} to time{begun}{since}"
