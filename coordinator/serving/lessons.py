"""What was learnt of plans and links that failed though their nodes live, and for how long that counts. Pure."""

from collections import deque
from dataclasses import dataclass

from coordinator.serving.replanning import Circumstances, Link
from partitioner.plan import Plan, Stage

AVOIDED_SECONDS = 60.0
"""A plan or a link that failed is avoided for so long; then it may be tried again. Doubled each time that it fails
again within as long as it was avoided."""
MOST_AVOIDED = 16
"""Times `AVOIDED_SECONDS`, at most."""
AT_ONCE_SECONDS = 20.0
"""A plan that breaks down again within so long after it went live is set aside; once may be chance."""
MOST_STARTS = 30
"""Bring-ups of plans within `STARTS_SECONDS` after which a service gives up."""
STARTS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Avoided:
    until: float
    seconds: float
    """For which it is avoided."""


class Lessons:
    """Failures so far. Not thread-safe. Moments are given by the caller, on any clock that only goes forward."""

    def __init__(self, avoided_seconds: float = AVOIDED_SECONDS) -> None:
        self._avoided_seconds = avoided_seconds
        self._plans: dict[tuple[Stage, ...], _Avoided] = {}
        self._links: dict[Link, _Avoided] = {}
        self._refuted: set[frozenset[str]] = set()
        self._last_break: tuple[tuple[Stage, ...], float] | None = None
        self._starts: deque[float] = deque()

    def circumstances(self, usable: frozenset[str], now: float) -> Circumstances:
        """What can be used, given the nodes that can."""
        return Circumstances(
            usable=usable,
            broken_links=frozenset(link for link, avoided in self._links.items() if avoided.until > now),
            refuted=frozenset(self._refuted),
            set_aside=frozenset(stages for stages, avoided in self._plans.items() if avoided.until > now),
        )

    def broke(self, plan: Plan, now: float) -> None:
        """A plan broke down, all its nodes living. The second time at once it is set aside."""
        if self._last_break is not None:
            stages, at = self._last_break
            if stages == plan.stages and now - at < AT_ONCE_SECONDS:
                self.refused(plan, now)
        self._last_break = (plan.stages, now)

    def refused(self, plan: Plan, now: float) -> None:
        """A plan cannot be brought up: it is set aside."""
        self._plans[plan.stages] = self._avoided(self._plans.get(plan.stages), now)

    def cut(self, link: Link, now: float) -> None:
        """A node does not reach another one, which lives."""
        self._links[link] = self._avoided(self._links.get(link), now)

    def _avoided(self, before: _Avoided | None, now: float) -> _Avoided:
        seconds = self._avoided_seconds
        if before is not None and now < before.until + before.seconds:
            seconds = min(2 * before.seconds, MOST_AVOIDED * self._avoided_seconds)
        return _Avoided(now + seconds, seconds)

    def refute(self, nodes: frozenset[str]) -> None:
        """A plan on these nodes computed something else than the whole model."""
        self._refuted.add(nodes)

    def renewed(self, node: str) -> None:
        """Another process answers for a node: what was wrong with it may be over."""
        self._refuted = {nodes for nodes in self._refuted if node not in nodes}
        self._links = {link: avoided for link, avoided in self._links.items() if node not in link}

    def may_start(self, now: float) -> bool:
        """Counts one bring-up of a plan; False when there were too many lately."""
        while self._starts and self._starts[0] <= now - STARTS_SECONDS:
            self._starts.popleft()
        self._starts.append(now)
        return len(self._starts) <= MOST_STARTS
