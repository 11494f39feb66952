"""What the cache holds of one segment on one kind of device, and how it is checked."""

import hashlib
from array import array
from dataclasses import dataclass

from node_agent.tightness import is_tight

Row = tuple[bytes, float, int, float, str]
"""samples, session_seconds, memory_bytes, share_seconds, measured_at; as the columns of the file."""

_SAME_SHARE = 0.8
"""Of the budget asked for: shares differ a little with the number of random segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Samples of one segment."""

    seconds: tuple[float, ...]
    """In the order in which they were taken."""
    session_seconds: float
    memory_bytes: int
    share_seconds: float = 0.0
    """Budget that the segment was timed for to its end; 0 while it is timed, and where that was broken off."""
    measured_at: str
    """ISO 8601, UTC: the last sample."""

    def is_known(self, tolerance: float, share_seconds: float) -> bool:
        """Whether timing it again would add nothing: it is tight, or was given as much time as it would be now."""
        was_given = 0 < _SAME_SHARE * share_seconds <= self.share_seconds
        return bool(self.seconds) and (was_given or is_tight(sorted(self.seconds), tolerance))


def to_row(entry: Entry) -> Row:
    """Columns of an entry."""
    samples = array("d", entry.seconds).tobytes()
    return samples, float(entry.session_seconds), entry.memory_bytes, float(entry.share_seconds), entry.measured_at


def from_row(row: Row) -> Entry:
    """The entry of columns whose checksum was found right."""
    samples, session_seconds, memory_bytes, share_seconds, measured_at = row
    return Entry(
        seconds=tuple(array("d", samples)),
        session_seconds=session_seconds,
        memory_bytes=memory_bytes,
        share_seconds=share_seconds,
        measured_at=measured_at,
    )


def checksum(graph_sha256: str, fingerprint: str, row: Row) -> bytes:
    """Digest of an entry's key and columns, whatever a damaged file may have put there."""
    return hashlib.sha256(repr((graph_sha256, fingerprint, *row)).encode()).digest()
