"""What was learnt of plans and links that failed though their nodes live, and for how long that counts. Pure."""

from collections import deque

from coordinator.serving.replanning import Circumstances, Link
from partitioner.plan import Plan, Stage

AVOIDED_SECONDS = 60.0
"""A plan or a link that failed is avoided for so long; then it may be tried again."""
AT_ONCE_SECONDS = 20.0
"""A plan that breaks down again within so long after it went live is set aside; once may be chance."""
MOST_STARTS = 30
"""Bring-ups of plans within `STARTS_SECONDS` after which a service gives up."""
STARTS_SECONDS = 60.0


class Lessons:
    """Failures so far. Not thread-safe. Moments are given by the caller, on any clock that only goes forward."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Stage, ...], float] = {}
        """Until when each is avoided."""
        self._links: dict[Link, float] = {}
        self._refuted: set[frozenset[str]] = set()
        self._last_break: tuple[tuple[Stage, ...], float] | None = None
        self._starts: deque[float] = deque()

    def circumstances(self, usable: frozenset[str], now: float) -> Circumstances:
        """What can be used, given the nodes that can."""
        return Circumstances(
            usable=usable,
            broken_links=frozenset(link for link, until in self._links.items() if until > now),
            refuted=frozenset(self._refuted),
            set_aside=frozenset(stages for stages, until in self._plans.items() if until > now),
        )

    def broke(self, plan: Plan, now: float) -> None:
        """A plan broke down, all its nodes living. The second time at once it is set aside."""
        if self._last_break is not None:
            stages, at = self._last_break
            if stages == plan.stages and now - at < AT_ONCE_SECONDS:
                self.refused(plan, now)
        self._last_break = (plan.stages, now)

    def refused(self, plan: Plan, now: float) -> None:
        """A node cannot take its stage of a plan: the plan is set aside."""
        self._plans[plan.stages] = now + AVOIDED_SECONDS

    def cut(self, link: Link, now: float) -> None:
        """A node does not reach another one, which lives."""
        self._links[link] = now + AVOIDED_SECONDS

    def refute(self, nodes: frozenset[str]) -> None:
        """A plan on these nodes computed something else than the whole model."""
        self._refuted.add(nodes)

    def renewed(self, node: str) -> None:
        """Another process answers for a node: what was wrong with it may be over."""
        self._refuted = {nodes for nodes in self._refuted if node not in nodes}
        self._links = {link: until for link, until in self._links.items() if node not in link}

    def may_start(self, now: float) -> bool:
        """Counts one bring-up of a plan; False when there were too many lately."""
        while self._starts and self._starts[0] <= now - STARTS_SECONDS:
            self._starts.popleft()
        self._starts.append(now)
        return len(self._starts) <= MOST_STARTS
