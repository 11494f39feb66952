"""Searches many orders at once; exact where the graph is narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from partitioner.onnx_io.flow import Flow

_WIDTH = 64
"""Sets of groups that are followed at once."""
_MOST_STEPS = 200_000
"""Beyond it, which takes about a second, a graph is too wide to be searched."""


@dataclass(slots=True, kw_only=True)
class _Prefix:
    """The best order known of a set of groups."""

    total: int
    """Live bytes summed over the positions so far."""
    live: int
    last: int
    """Index in `_Search._steps` of its last step; -1 before the first."""
    ready: tuple[int, ...]


def beam_order(flow: Flow, inputs: Sequence[str]) -> list[tuple[list[int], int]]:
    """A topological order of few live bytes, and their sum over positions; nothing where the graph is too wide.

    Prefixes of an order are compared where they hold the same groups, so that the result is the best of all orders as
    long as no more than `_WIDTH` sets of groups compete; of more, those of least sum go on.
    """
    search = _Search(flow, inputs)
    first = tuple(group for group, n_before in enumerate(flow.n_awaited) if not n_before)
    prefixes = {0: _Prefix(total=0, live=search.live_at_start, last=-1, ready=first)}
    n_steps = 0
    for _ in flow.n_awaited:
        n_steps += sum(len(prefix.ready) for prefix in prefixes.values())
        if n_steps > _MOST_STEPS:
            return []
        prefixes = search.extend(prefixes)
    (best,) = prefixes.values()
    return [(search.order_of(best), best.total)]


class _Search:
    """Prefixes that grow step by step; sets of groups are the bits of an integer."""

    def __init__(self, flow: Flow, inputs: Sequence[str]) -> None:
        readers: dict[str, int] = {}
        for group, names in enumerate(flow.reads):
            for name in names:
                readers[name] = readers.get(name, 0) | 1 << group
        n_bytes = flow.n_bytes
        self.live_at_start = sum(n_bytes.get(name, 0) for name in inputs if name in flow.readers)
        self._born = [sum(n_bytes.get(name, 0) for name in names) for names in flow.writes]
        # What the client reads as well is never freed.
        self._reads = [
            [(n_bytes.get(name, 0), readers[name]) for name in names if readers[name].bit_count() == flow.readers[name]]
            for names in flow.reads
        ]
        self._steps: list[tuple[int, int]] = []
        """(index of the step before, group) of every prefix that was kept."""
        self._followers = flow.followers
        self._before = [0] * len(flow.reads)
        for group, followers in enumerate(flow.followers):
            for follower in followers:
                self._before[follower] |= 1 << group

    def extend(self, prefixes: dict[int, _Prefix]) -> dict[int, _Prefix]:
        """The best prefixes that are longer by one group."""
        longer: dict[int, tuple[int, int, int, int]] = {}
        for done, prefix in prefixes.items():
            for group in prefix.ready:
                now_done = done | 1 << group
                freed = sum(n_bytes for n_bytes, readers in self._reads[group] if not readers & ~now_done)
                live = prefix.live + self._born[group] - freed
                found = (prefix.total + live, live, done, group)
                if now_done not in longer or found < longer[now_done]:
                    longer[now_done] = found
        kept = sorted(longer.items(), key=lambda item: item[1])[:_WIDTH]
        return {
            now_done: self._prefix(now_done, prefixes[done], group, total=total, live=live)
            for now_done, (total, live, done, group) in kept
        }

    def _prefix(self, now_done: int, before: _Prefix, group: int, *, total: int, live: int) -> _Prefix:
        self._steps.append((before.last, group))
        opened = (one for one in self._followers[group] if not self._before[one] & ~now_done)
        ready = (*(one for one in before.ready if one != group), *opened)
        return _Prefix(total=total, live=live, last=len(self._steps) - 1, ready=ready)

    def order_of(self, prefix: _Prefix) -> list[int]:
        """The groups of a prefix in their order."""
        groups = []
        last = prefix.last
        while last >= 0:
            last, group = self._steps[last]
            groups.append(group)
        return groups[::-1]
