"""Keeps a plan serving: sees what is wrong with the one that does, and puts another one in its place.

One thread looks at the state of things, not at messages of change, so that none can be missed, come late or twice:
each node of the line is alive and the same process as when the line began, its streams hold, its outputs are right, its
answers keep coming. What is not so is a fault; a fault ends the line, and the next one is brought up.
"""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future

from coordinator.errors import CoordinatorError, GivenUpError, NoPlanError
from coordinator.serving import events as kinds
from coordinator.serving.desk import Desk
from coordinator.serving.diagnosis import Diagnosis, Fault
from coordinator.serving.events import EventLog
from coordinator.serving.line import Line
from coordinator.serving.patience import Patience
from coordinator.serving.replanning import Circumstances, is_worthwhile
from coordinator.serving.served import Served
from coordinator.serving.settling import Settling
from coordinator.serving.starter import BRING_UP_ERRORS, Starter
from coordinator.serving.switches import Switches
from coordinator.serving.watch import Watch
from node_agent.errors import NodeError, NodeUnreachableError
from partitioner.plan import Candidate

_TICK_SECONDS = 0.1
_DRAIN_LOOK_SECONDS = 0.01


class Supervisor:
    """Runs in a thread of its own until `close`."""

    def __init__(
        self,
        *,
        name: str,
        desk: Desk,
        starter: Starter,
        diagnosis: Diagnosis,
        watch: Watch,
        events: EventLog,
        on_served: Callable[[Served], None],
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        """Begins with `start`.

        Args:
            name: Of the deployment.
            desk: Of its requests.
            starter: Brings lines up.
            diagnosis: Sees what is wrong with them.
            watch: Of the nodes.
            events: Takes what happens.
            on_served: Told of each plan that begins to serve.
            patience: How long to wait for what.
            clock: Seconds, never going back; that of the desk.
        """
        self._name = name
        self._desk = desk
        self._starter = starter
        self._diagnosis = diagnosis
        self._watch = watch
        self._events = events
        self._on_served = on_served
        self._patience = patience
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._switches = Switches()
        self._first: Future[Line] = Future()
        self._settling = Settling(patience.for_settling)
        self._planned_in: Circumstances | None = None
        """Circumstances in which it was last considered which plan is best."""
        self._is_untidy = False
        self._thread: threading.Thread | None = None

    def start(self, candidate: Candidate, running: Served | None = None) -> Line:
        """Brings a plan up, or adopts one that runs; returns once it serves, or another one on the nodes that are left.

        Raises:
            CoordinatorError: None could be brought up; says why.
        """
        self._thread = threading.Thread(
            target=self._run, args=(candidate, running), name=f"supervisor of {self._name}", daemon=True
        )
        self._thread.start()
        return self._first.result()

    def switch(self, candidate: Candidate) -> "Future[None]":
        """Has another plan serve; the future is done once it does, or ends in why it does not."""
        wish = self._switches.ask(candidate)
        self._wake.set()
        return wish

    def wake(self) -> None:
        """Has a look at once: something has changed."""
        self._wake.set()

    def lost(self, node: str) -> None:
        """A node was lost: it will be trusted less when it is back."""
        self._settling.lost(node, self._clock())
        self._wake.set()

    def renewed(self, node: str) -> None:
        """A node is back, or another process answers for it."""
        self._starter.renewed(node)
        self._is_untidy = True  # it may hold what served before it was lost
        self._wake.set()

    def close(self) -> None:
        """Ends the thread, and what it is about."""
        self._stopping.set()
        self._starter.stop()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, candidate: Candidate, running: Served | None) -> None:
        try:
            self._begin(candidate, running)
            while not self._stopping.is_set():
                self._wake.wait(_TICK_SECONDS)
                self._wake.clear()
                self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, every request ends and says so
            self._give_up(error)
        self._switches.end()

    def _give_up(self, error: Exception) -> None:
        is_ours = isinstance(error, (CoordinatorError, NodeError))
        why = str(error) if is_ours else f"its supervisor broke ({error!r})."
        self._desk.end(why)
        if not self._first.done():
            self._first.set_exception(error if is_ours else GivenUpError(why))
        if not self._stopping.is_set():
            self._events.tell(kinds.GIVEN_UP, cause=why)

    def _begin(self, candidate: Candidate, running: Served | None) -> None:
        began = self._clock()
        # Another client may have requests in flight there, whose answers come to us: numbers that it never used.
        line = self._starter.adopt(running, secrets.randbits(60)) if running else None
        kind = kinds.ADOPTED
        if line is None:
            kind = kinds.DEPLOYED
            line = self._starter.bring_up_some(candidate, running=running.candidate if running else None)
        self._go_live(line)
        self._starter.tidy(line)
        self._tell(kind, line, since=began)
        self._first.set_result(line)

    def _go_live(self, line: Line) -> None:
        line.pipeline.failure.listen(lambda _: self._wake.set())
        self._desk.begin(line)
        self._planned_in = line.chosen_in or self._planned_in
        self._on_served(Served(name=self._name, epoch=line.epoch, candidate=line.candidate))

    def _tell(self, kind: str, line: Line, *, since: float, cause: str = "") -> None:
        self._events.tell(
            kind,
            plan=line.candidate.plan.describe(),
            epoch=line.epoch,
            cause=cause,
            duration_seconds=self._clock() - since,
        )

    def _look(self) -> None:
        line = self._desk.line
        if line is None:
            return
        fault = self._diagnosis.fault(line)
        if fault is not None:
            self._recover(line, fault)
        elif self._switches:
            self._switch_as_wished(line, *self._switches.take())
        elif self._is_untidy:
            self._is_untidy = False
            self._starter.tidy(line)
        else:
            self._reconsider(line)

    def _recover(self, line: Line, fault: Fault) -> None:
        began, plan = self._clock(), line.candidate.plan
        if fault.kind != kinds.NODE_LOST:  # the watch has told of that
            self._events.tell(fault.kind, plan=plan.describe(), epoch=line.epoch, cause=fault.cause)
        cause, silent = fault.cause, frozenset[str]()
        if fault.kind == kinds.WRONG_OUTPUTS:
            self._starter.refute(plan)
        elif fault.kind == kinds.LINE_BROKEN:
            silent = self._starter.broke(line)
            cause = self._diagnosis.lost_node(plan, line.instances) or cause
        self._desk.lose(line, cause)
        following = self._starter.bring_up_some(line.candidate, running=line.candidate, silent=silent)
        self._go_live(following)
        self._starter.tidy(following)
        self._tell(kinds.RECOVERED, following, since=began, cause=cause)

    # Switching while running

    def _switch_as_wished(
        self, line: Line, candidate: Candidate, wish: "Future[None]", why: str = "as was wished"
    ) -> None:
        try:
            self._switch(line, candidate, why)
        except BRING_UP_ERRORS as error:
            wish.set_exception(error)
            if isinstance(error, GivenUpError):
                raise
        else:
            wish.set_result(None)

    def _switch(self, line: Line, candidate: Candidate, why: str) -> None:
        """Puts another plan in the place of one that serves, which answers what it has.

        Raises:
            GivenUpError: The nodes cannot hold both, the new one does not come up, nor does any other.
            NodeError, DeploymentError, OutputMismatchError: The new one does not come up; another one serves.
        """
        began = self._clock()
        is_side_by_side = self._starter.fits_beside(candidate, line.candidate)
        try:
            if is_side_by_side:
                following = self._starter.bring_up(candidate)
            else:
                self._desk.hold()
                self._drain(line, None)
                self._starter.free(line)
                following = self._starter.bring_up(candidate)
        except BRING_UP_ERRORS as error:
            self._events.tell(
                kinds.SWITCH_FAILED, plan=candidate.plan.describe(), epoch=self._starter.epoch, cause=str(error)
            )
            if not is_side_by_side:
                former = self._starter.bring_up_some(line.candidate, running=None)
                self._go_live(former)
                self._tell(kinds.RECOVERED, former, since=began, cause="the plan that was to follow did not come up")
            raise
        self._go_live(following)
        if is_side_by_side:
            self._drain(line, following)
        self._starter.tidy(following)
        how = "side by side" if is_side_by_side else "one after the other, for want of memory"
        self._tell(kinds.SWITCHED, following, since=began, cause=f"{why}; {how}")

    def _drain(self, line: Line, following: Line | None) -> None:
        """Waits until a line has answered what it has; what it has not then is sent to the next one."""
        ends_at = self._clock() + self._patience.for_drain
        while self._desk.in_flight(line.epoch) and self._clock() < ends_at and not self._stopping.is_set():
            if self._diagnosis.fault(line) or (following and self._diagnosis.fault(following)):
                break
            self._wake.wait(_DRAIN_LOOK_SECONDS)
            self._wake.clear()
        self._desk.lose(line, "a switch of plans", is_blamed=False)

    def _reconsider(self, line: Line) -> None:
        """Switches to a better plan where circumstances are others than when it was chosen, and nodes have settled."""
        now, before = self._starter.circumstances(self._watch.alive), self._planned_in
        if now == before or not all(map(self._has_settled, now.usable)):
            return
        if before is None:
            self._planned_in = now
            return  # the plan was wished for
        try:
            choice = self._starter.best(now, lambda: self._what_is_more_urgent(line))
        except NodeUnreachableError:
            return
        except NoPlanError:
            self._planned_in = now
            return
        self._planned_in = now
        candidate = choice.candidate
        if candidate.plan.stages == line.candidate.plan.stages:
            return
        if is_worthwhile(line.candidate.cost, candidate.cost):
            wish: Future[None] = Future()  # nobody waits for it: a failure is told as an event
            what = "nodes came back" if now.usable - before.usable else "what failed may be tried again"
            self._switch_as_wished(line, candidate, wish, f"{what}; {choice.origin}")
            if wish.exception() is not None:
                self._starter.set_aside(candidate.plan)

    def _what_is_more_urgent(self, line: Line) -> str | None:
        fault = self._diagnosis.fault(line)
        if fault is not None:
            return fault.cause
        return "Another plan was wished for." if self._switches else None

    def _has_settled(self, node: str) -> bool:
        return self._settling.has_settled(node, self._watch.vital(node).answering_since, self._clock())
