"""Which plan to run on the nodes that are left. Pure: candidates in, a choice out.

The best candidate of the known front all of whose nodes can be used, by the wish that chose the plan; where the front
has none, the best that a new search on what is left finds.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace

from coordinator.errors import NoPlanError
from partitioner.choice import choose
from partitioner.cluster import CLIENT
from partitioner.cost import CostModel
from partitioner.errors import ChoiceError, PartitionerError
from partitioner.plan import Candidate, CostEstimate, Plan, Stage

Link = tuple[str, str]

WORTHWHILE_GAIN = 1.10
"""A running plan is left for another one that is predicted to be better by this factor, in throughput or in latency:
for less, what a switch costs and what a node that just came back may do is not worth it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What can be used now."""

    usable: frozenset[str]
    """Nodes."""
    broken_links: frozenset[Link] = frozenset()
    """Between nodes that live."""
    refuted: frozenset[frozenset[str]] = frozenset()
    """Nodes of each plan that computed something else than the whole model: one of them is wrong, any plan on all of
    them meets it again."""
    set_aside: frozenset[tuple[Stage, ...]] = frozenset()
    """Plans that broke down or were refused lately."""

    def fault(self, plan: Plan) -> str | None:
        """Why a plan cannot be run now; None where it can."""
        devices = devices_of(plan)
        if gone := sorted(devices - self.usable):
            return f"{' and '.join(gone)} cannot be used"
        if cut := sorted(links_of(plan) & self.broken_links):
            return "the link " + " and ".join(f"{source} → {target}" for source, target in cut) + " is broken"
        if any(wrong <= devices for wrong in self.refuted):
            return f"a plan on {' and '.join(sorted(devices))} computed wrong outputs"
        return "it broke down lately" if plan.stages in self.set_aside else None


def devices_of(plan: Plan) -> frozenset[str]:
    """All devices that bear a stage."""
    return frozenset(device for stage in plan.stages for device in stage.devices)


def links_of(plan: Plan) -> frozenset[Link]:
    """Links between nodes that a plan sends over."""
    return frozenset(
        (source, target)
        for one, other in zip(plan.stages, plan.stages[1:], strict=False)
        for source in one.devices
        for target in other.devices
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A plan to run, and where it comes from."""

    candidate: Candidate
    origin: str
    """One clause for people."""
    circumstances: Circumstances | None = None
    """In which it is the best; None where it was not held against others."""


Search = Callable[[frozenset[str], frozenset[Link]], Sequence[Candidate]]
"""The front on these nodes without these links."""


class Replanner:
    """Chooses plans. Thread-safe; what was chosen once is chosen at once again."""

    def __init__(
        self,
        front: Sequence[Candidate],
        *,
        wish: str = "knee",
        objectives: Sequence[str] | None = None,
        search: Search | None = None,
        is_runnable: Callable[[Plan], bool] = lambda _plan: True,
    ) -> None:
        """Takes what the run knows.

        Args:
            front: The known one.
            wish: That chose the plan of the run, in words.
            objectives: Of the front.
            search: Searches again; None: only the front is looked at.
            is_runnable: Whether a plan is of a kind that nodes can run.
        """
        self._front = tuple(candidate for candidate in front if is_runnable(candidate.plan))
        self._wish = "knee" if wish.strip().isdecimal() else wish
        self._objectives = objectives
        self._search = search
        self._is_runnable = is_runnable
        self._lock = threading.Lock()
        self._known: dict[Circumstances, Future[Choice]] = {}
        self._preparing = threading.Lock()

    def choose(self, now: Circumstances) -> Choice:
        """The plan to run now. Waits for a search only where none of the known front can be run, and for its own alone.

        Raises:
            NoPlanError: There is none; says why.
        """
        with self._lock:
            choice = self._known.get(now)
            is_asked_first = choice is None
            if choice is None:
                choice = self._known[now] = Future()
        if is_asked_first:
            self._settle(now, choice)
        return choice.result()

    def _settle(self, now: Circumstances, choice: "Future[Choice]") -> None:
        try:
            choice.set_result(self._choose(now))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
            with self._lock:
                del self._known[now]
            choice.set_exception(error)

    def prepare(self, now: Circumstances, nodes: Iterable[str], is_over: Callable[[], bool] = lambda: False) -> None:
        """Chooses ahead for the loss of each of `nodes` alone, so that no search is waited for when it comes.

        Args:
            now: What can be used.
            nodes: Of the plan that serves.
            is_over: Whether it serves no more; looked at before each choice.
        """
        with self._preparing:  # searches take the processor from each other
            for name in nodes:
                if is_over():
                    return
                with suppress(NoPlanError):
                    self.choose(replace(now, usable=now.usable - {name}))

    def _choose(self, now: Circumstances) -> Choice:
        known = [candidate for candidate in self._front if now.fault(candidate.plan) is None]
        if known:
            return self._pick(now, known, "of the known front")
        found, why = self._searched(now)
        if found:
            return self._pick(now, found, f"searched on {', '.join(sorted(now.usable))}")
        raise NoPlanError(
            f"No plan can be run on {', '.join(sorted(now.usable)) or 'no node at all'}: {why}. Bring nodes back, or "
            "make the model smaller."
        )

    def _searched(self, now: Circumstances) -> tuple[list[Candidate], str]:
        if self._search is None or not now.usable:
            return [], "no plan of the front is on these nodes alone"
        why = ""
        for usable in self._subsets(now):
            try:
                candidates = self._search(usable, now.broken_links)
            except PartitionerError as error:
                why = why or str(error).rstrip(".")
                continue
            found = [one for one in candidates if self._is_runnable(one.plan) and now.fault(one.plan) is None]
            if found:
                return found, ""
        return [], why or "all that were found broke down lately, or computed wrong outputs"

    def _subsets(self, now: Circumstances) -> list[frozenset[str]]:
        """All usable nodes; then without one node of those that a wrong or broken plan was on."""
        doubtful = {name for nodes in now.refuted for name in nodes}
        doubtful |= {device for stages in now.set_aside for stage in stages for device in stage.devices}
        return [now.usable, *(now.usable - {name} for name in sorted(doubtful & now.usable) if len(now.usable) > 1)]

    def _pick(self, now: Circumstances, candidates: Sequence[Candidate], origin: str) -> Choice:
        try:
            best = choose(candidates, self._wish, self._objectives)
        except ChoiceError:
            origin = f"{origin}; none answers the wish {self._wish!r}, so the knee"
            best = choose(candidates, "knee", self._objectives)
        return Choice(candidate=best, origin=origin, circumstances=now)


def restricted(cost_model: CostModel, usable: frozenset[str], broken_links: frozenset[Link] = frozenset()) -> CostModel:
    """The cost model on some of its devices and links alone.

    Raises:
        CostModelError: No device is left.
    """
    cluster = cost_model.cluster
    places = {*usable, CLIENT}
    devices = tuple(device for device in cluster.devices if device.name in usable)
    links = tuple(
        link
        for link in cluster.links
        if {link.source, link.target} <= places and (link.source, link.target) not in broken_links
    )
    kept = {(link.source, link.target) for link in links}
    media = tuple(
        replace(medium, links=shared)
        for medium in cluster.media
        if (shared := tuple(pair for pair in medium.links if pair in kept))
    )
    processors = tuple(
        replace(processor, shares=shares)
        for processor in cluster.processors
        if (shares := tuple(share for share in processor.shares if share[0] in usable))
    )
    left = replace(cluster, devices=devices, links=links, media=media, processors=processors)
    return replace(cost_model, cluster=left)


def is_worthwhile(now: CostEstimate, then: CostEstimate) -> bool:
    """Whether a plan that costs `then` is worth leaving one that costs `now`."""
    return (
        then.throughput_per_second >= WORTHWHILE_GAIN * now.throughput_per_second
        or now.latency_seconds >= WORTHWHILE_GAIN * then.latency_seconds
    )
