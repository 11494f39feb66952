"""How fast devices work: at full pace, or slowed down by others on the same cores."""

from heapq import heappop, heappush
from math import fsum
from typing import Protocol

from partitioner.simulation.events import Action, Clock


class Pace(Protocol):
    """How fast the work of a resource goes on."""

    def work(self, seconds: float, on_done: Action, ready_seconds: float, on_ready: Action | None) -> None:
        """Calls `on_done` after so much work, and `on_ready` on the way, if there is one.

        Args:
            seconds: Of work, which take as long where nothing slows it down.
            on_done: Called at the end.
            ready_seconds: Of the work until `on_ready`, no more than all of it.
            on_ready: Called then.
        """


class FullPace:
    """Nothing slows the work down."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def work(self, seconds: float, on_done: Action, ready_seconds: float, on_ready: Action | None) -> None:
        """See `Pace`."""
        if on_ready is not None:
            self._clock.at(self._clock.now + ready_seconds, on_ready)
        self._clock.at(self._clock.now + seconds, on_done)


class SharedCores:
    """Cores that devices share, as an operating system divides them.

    All that work at a moment have their weights; where those add up to more than 1, all slow down by that sum alike.
    So there is one clock of work for all, which never runs ahead of the true one.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._weights: dict[int, float] = {}
        """Of those that work."""
        self._milestones: list[tuple[float, int, int, Action]] = []
        """(moment by the clock of work, order, whose, action), as a heap."""
        self._n_asked = 0
        self._worked = 0.0
        """What the clock of work shows."""
        self._since = 0.0
        """When it was set."""
        self._used_seconds = 0.0
        self._n_plans = 0

    def busy_seconds(self) -> float:
        """Seconds until now, each counted by the part of the cores that was used."""
        return self._used_seconds + (self._clock.now - self._since) * min(1.0, self._wanted)

    def begin(self, weight: float, seconds: float, on_done: Action, ready: tuple[float, Action] | None) -> None:
        """Begins work of a weight; see `Pace`."""
        self._go_on()
        worker = self._n_asked
        self._weights[worker] = weight
        if ready is not None:
            self._push(ready[0], -1, ready[1])
        self._push(seconds, worker, on_done)
        self._plan()

    @property
    def _wanted(self) -> float:
        return fsum(self._weights.values())

    @property
    def _slowdown(self) -> float:
        return max(1.0, self._wanted)

    def _push(self, seconds: float, worker: int, action: Action) -> None:
        """A worker of -1 goes on after the action."""
        self._n_asked += 1
        heappush(self._milestones, (self._worked + seconds, self._n_asked, worker, action))

    def _go_on(self) -> None:
        """Sets the clock of work."""
        self._used_seconds = self.busy_seconds()
        self._worked += (self._clock.now - self._since) / self._slowdown
        self._since = self._clock.now

    def _plan(self) -> None:
        """Asks to be called at the next milestone; what was asked for before is no longer true."""
        self._n_plans += 1
        plan = self._n_plans
        if self._milestones:
            left = max(0.0, self._milestones[0][0] - self._worked)
            self._clock.at(self._clock.now + left * self._slowdown, lambda: self._reach(plan))

    def _reach(self, plan: int) -> None:
        if plan != self._n_plans:
            return
        self._go_on()
        moment, _, worker, action = heappop(self._milestones)
        self._worked = moment
        self._weights.pop(worker, None)
        self._plan()
        action()


class SharedPace:
    """One device on shared cores."""

    def __init__(self, cores: SharedCores, weight: float) -> None:
        """A device that uses so much of the cores while it works."""
        self._cores = cores
        self._weight = weight

    def work(self, seconds: float, on_done: Action, ready_seconds: float, on_ready: Action | None) -> None:
        """See `Pace`."""
        ready = None if on_ready is None else (ready_seconds, on_ready)
        self._cores.begin(self._weight, seconds, on_done, ready)
