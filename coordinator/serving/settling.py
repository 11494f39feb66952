"""When a node that was lost is trusted again. Pure: moments are given by the caller."""

from collections import Counter, deque

_FORGET_SECONDS = 60.0
"""A node's losses count for so long against trusting it when it is back."""
_MOST_DOUBLINGS = 4


class Settling:
    """Losses of late. Thread-safe."""

    def __init__(self, seconds: float) -> None:
        """Has a node settled once it has answered each beat for so long, doubled by each loss after the first."""
        self._seconds = seconds
        self._losses: deque[tuple[float, str]] = deque()

    def lost(self, node: str, now: float) -> None:
        """A node was lost."""
        self._losses.append((now, node))

    def has_settled(self, node: str, answering_since: float, now: float) -> bool:
        """Whether a node that answers since then may be used."""
        while self._losses and self._losses[0][0] < now - _FORGET_SECONDS:
            self._losses.popleft()
        n_losses = Counter(name for _, name in tuple(self._losses))[node]
        return now >= answering_since + self._seconds * 2.0 ** min(max(n_losses - 1, 0), _MOST_DOUBLINGS)
