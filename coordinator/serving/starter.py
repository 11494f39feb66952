"""Bringing up the next line: chooses a plan, tries it, learns from what fails, until one serves."""

import threading
from collections.abc import Callable
from functools import partial

from coordinator.errors import DeploymentError, GivenUpError, NoPlanError, OutputMismatchError, PlanRefusedError
from coordinator.pipeline import Pipeline
from coordinator.serving import events as kinds
from coordinator.serving.deployer import Deployer
from coordinator.serving.diagnosis import CONFIRM_SECONDS, Diagnosis
from coordinator.serving.events import EventLog
from coordinator.serving.lessons import Lessons
from coordinator.serving.line import Line
from coordinator.serving.replanning import Choice, Circumstances, Replanner, devices_of
from coordinator.serving.served import Served
from coordinator.serving.watch import Watch
from coordinator.side_by_side import run_side_by_side
from node_agent.errors import NodeError, NodeUnreachableError
from partitioner.plan import Candidate, Plan

_WAIT_SECONDS = 0.2

BRING_UP_ERRORS = (NodeError, DeploymentError, OutputMismatchError)
"""With which a plan may fail to come up."""


class Starter:
    """Brings lines up, one at a time; each has a higher epoch than all before. Used by one thread but for `renewed`."""

    def __init__(
        self,
        *,
        deployer: Deployer,
        replanner: Replanner,
        watch: Watch,
        diagnosis: Diagnosis,
        events: EventLog,
        clock: Callable[[], float],
        wait_seconds: float,
        avoided_seconds: float,
    ) -> None:
        """Has brought nothing up yet.

        Args:
            deployer: Puts plans on nodes.
            replanner: Chooses them.
            watch: Of the nodes.
            diagnosis: Of lines.
            events: Takes what happens.
            clock: That of the desk.
            wait_seconds: For nodes to come back, where no plan can be run without them.
            avoided_seconds: Until a plan or a link that failed may be tried again.
        """
        self._deployer = deployer
        self._replanner = replanner
        self._watch = watch
        self._diagnosis = diagnosis
        self._events = events
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._lessons = Lessons(avoided_seconds)
        self._lock = threading.Lock()
        self._is_stopping = False
        self._tidied: Line | None = None
        """For whose losses plans are chosen ahead."""
        self.epoch = 0
        """Of the last attempt to bring a line up."""

    def stop(self) -> None:
        """Ends the attempt that goes on, and all later ones."""
        self._is_stopping = True

    def renewed(self, node: str) -> None:
        """Another process answers for a node: what was learnt of the former counts no more."""
        with self._lock:
            self._lessons.renewed(node)

    def broke(self, line: Line) -> frozenset[str]:
        """A line's streams broke. Gives nodes that do not answer; where all hold their stages, the plan is marked."""
        plan = line.candidate.plan
        silent = self._diagnosis.silent(plan)
        if not silent and self._diagnosis.lost_node(plan, line.instances) is None:
            with self._lock:
                self._lessons.broke(plan, self._clock())
        return silent

    def refute(self, plan: Plan) -> None:
        """A plan computed something else than the whole model."""
        with self._lock:
            self._lessons.refute(devices_of(plan))

    def set_aside(self, plan: Plan) -> None:
        """A plan that was to follow did not come up."""
        with self._lock:
            self._lessons.refused(plan, self._clock())

    def circumstances(self, usable: frozenset[str]) -> Circumstances:
        """What can be used, given the nodes that can."""
        with self._lock:
            return self._lessons.circumstances(usable, self._clock())

    def adopt(self, running: Served, first_request: int) -> Line | None:
        """The line of a plan that is loaded already; None where it cannot be taken over.

        Later attempts of who left it may have loaded stages too: they are freed, and the next attempt is above them.
        """
        plan = running.candidate.plan
        there = self._watch.confirm(self._watch.alive, CONFIRM_SECONDS)
        self.epoch = max(running.epoch, self._deployer.newest_epoch(there))
        instances = self._diagnosis.instances(plan)
        try:
            pipeline = self._deployer.adopt(
                running.candidate, running.epoch, first_request, lambda: self._why_give_up(plan, instances)
            )
        except BRING_UP_ERRORS as error:
            cause = f"what runs cannot be adopted: {error}"
            self._events.tell(kinds.ATTEMPT_FAILED, plan=plan.describe(), epoch=running.epoch, cause=cause)
            return None
        if self.epoch > running.epoch:
            self._deployer.take_down(there, first_epoch=running.epoch + 1, last_epoch=self.epoch)
        return self._line(running.candidate, running.epoch, pipeline, instances)

    def bring_up(self, candidate: Candidate, chosen_in: Circumstances | None = None) -> Line:
        """The line of a plan that was not loaded yet.

        Args:
            candidate: The plan.
            chosen_in: Circumstances in which it is the best, where it was chosen.

        Raises:
            NodeError: A node was lost, or refused.
            DeploymentError: The plan cannot be run.
            OutputMismatchError: It does not compute what the whole model computes.
        """
        self.epoch += 1
        plan = candidate.plan
        instances = self._diagnosis.instances(plan)
        pipeline = self._deployer.bring_up(candidate, self.epoch, lambda: self._why_give_up(plan, instances))
        return self._line(candidate, self.epoch, pipeline, instances, chosen_in)

    def _line(
        self,
        candidate: Candidate,
        epoch: int,
        pipeline: Pipeline,
        instances: dict[str, str],
        chosen_in: Circumstances | None = None,
    ) -> Line:
        return Line(
            epoch=epoch,
            candidate=candidate,
            pipeline=pipeline,
            instances=instances,
            last_answer_at=self._clock(),
            chosen_in=chosen_in,
        )

    def _why_give_up(self, plan: Plan, instances: dict[str, str]) -> str | None:
        """Why it is in vain to go on bringing a plan up; None where it is not."""
        if self._is_stopping:
            return "The service was closed meanwhile."
        lost = self._diagnosis.lost_node(plan, instances)
        return f"Meanwhile the plan lost {lost}." if lost else None

    def bring_up_some(
        self, preferred: Candidate, *, running: Candidate | None, silent: frozenset[str] = frozenset()
    ) -> Line:
        """A line that serves: of the plan preferred where it can be run, else of another one.

        Args:
            preferred: The plan.
            running: That may still be loaded; None where nothing is.
            silent: Nodes to do without for now.

        Raises:
            GivenUpError: None could be brought up; says why.
        """
        self._tidied = None
        patience_ends = self._clock() + self._wait_seconds
        is_waiting = False
        while not self._is_stopping:
            alive = self._watch.alive
            try:
                choice = self._choose(preferred, alive, silent)
            except NodeUnreachableError:
                silent = frozenset()
                continue
            except NoPlanError as error:
                if self._clock() > patience_ends:
                    raise GivenUpError(str(error)) from error
                if not is_waiting:
                    self._events.tell(kinds.WAITING, cause=str(error))
                is_waiting, silent = True, frozenset()
                self._watch.wait_for_change(alive, _WAIT_SECONDS)
                continue
            self._count_start()
            line, more_silent = self._try(choice, preferred, running)
            if line is not None:
                return line
            silent |= more_silent
        raise GivenUpError("It was closed.")

    def _choose(self, preferred: Candidate, alive: frozenset[str], silent: frozenset[str]) -> Choice:
        now = self.circumstances(alive - silent)
        if now.fault(preferred.plan) is None:
            return Choice(candidate=preferred, origin="as before")
        return self.best(now, lambda: "Other nodes are alive." if self._watch.alive != alive else None)

    def _count_start(self) -> None:
        with self._lock:
            may_start = self._lessons.may_start(self._clock())
        if not may_start:
            raise GivenUpError("Plans break down as fast as they are brought up: look at the events and at the nodes.")

    def _try(
        self, choice: Choice, preferred: Candidate, running: Candidate | None
    ) -> tuple[Line | None, frozenset[str]]:
        """The line, or None and the nodes that explain why not."""
        plan = choice.candidate.plan
        if plan.stages != preferred.plan.stages:
            self._events.tell(kinds.REPLANNED, plan=plan.describe(), epoch=self.epoch + 1, cause=choice.origin)
        if running is not None and not self._deployer.fits_beside(choice.candidate, running):
            self._deployer.take_down(self._watch.alive & devices_of(running.plan), last_epoch=self.epoch)
        try:
            return self.bring_up(choice.candidate, choice.circumstances), frozenset()
        except BRING_UP_ERRORS as error:
            if self._is_stopping:
                return None, frozenset()
            self._events.tell(kinds.ATTEMPT_FAILED, plan=plan.describe(), epoch=self.epoch, cause=str(error))
            return None, self._learn(plan, error)

    def _learn(self, plan: Plan, error: Exception) -> frozenset[str]:
        """What the failure of a plan says of nodes, links and the plan; gives the nodes that do not answer."""
        if isinstance(error, OutputMismatchError):
            self.refute(plan)
            return frozenset()
        silent = self._diagnosis.silent(plan)
        now = self._clock()
        with self._lock:
            if silent:
                pass  # they explain it
            elif isinstance(error, PlanRefusedError) and error.is_unreachable and error.next_device is not None:
                self._lessons.cut((error.device, error.next_device), now)
            elif isinstance(error, NodeUnreachableError):
                self._lessons.broke(plan, now)
            else:
                self._lessons.refused(plan, now)
        return silent

    def tidy(self, line: Line) -> None:
        """Frees what earlier epochs hold, and plans ahead for the loss of each node; in the background."""
        self._tidied = line
        threading.Thread(target=self._tidy, args=(line,), name=f"after epoch {line.epoch} began", daemon=True).start()

    def _tidy(self, line: Line) -> None:
        alive = self._watch.alive
        self._deployer.take_down(alive, last_epoch=line.epoch - 1)
        self._replanner.prepare(
            self.circumstances(alive),
            devices_of(line.candidate.plan),
            is_over=lambda: self._is_stopping or self._tidied is not line,
        )

    def fits_beside(self, candidate: Candidate, running: Candidate) -> bool:
        """Whether the nodes can hold both plans at once."""
        return self._deployer.fits_beside(candidate, running)

    def free(self, line: Line) -> None:
        """Takes a plan off its nodes, so that another one has room."""
        self._deployer.take_down(self._watch.alive & devices_of(line.candidate.plan), last_epoch=line.epoch)

    def best(self, now: Circumstances, why_give_up: Callable[[], str | None]) -> Choice:
        """The plan that would be chosen. It may have to be searched for, which `stop` or a reason to give up ends.

        Raises:
            NoPlanError: There is none.
            NodeUnreachableError: The search was given up.
        """
        [choice] = run_side_by_side(
            [partial(self._replanner.choose, now)],
            why_give_up=lambda: "The service was closed meanwhile." if self._is_stopping else why_give_up(),
        )
        return choice
