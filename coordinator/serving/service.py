"""A plan that stays up: requests in, answers out, each exactly once, whatever happens to the nodes."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from coordinator.errors import MeasurementError, OutputMismatchError
from coordinator.fleet import Fleet, connect_node
from coordinator.opening import OnLane
from coordinator.output_gate import EXACT, OutputErrors, OutputGate
from coordinator.pipeline import Answer
from coordinator.ports import Connect
from coordinator.serving import events as kinds
from coordinator.serving.deployer import Canary, Deployer, PlanDeployer
from coordinator.serving.desk import Desk
from coordinator.serving.diagnosis import Diagnosis
from coordinator.serving.events import Event, EventLog
from coordinator.serving.patience import Patience
from coordinator.serving.pulse import Turn
from coordinator.serving.replanning import Replanner
from coordinator.serving.roster import NodeHeart, Roster
from coordinator.serving.served import Served
from coordinator.serving.starter import Starter
from coordinator.serving.supervisor import Supervisor
from coordinator.serving.watch import Heart, Sign, Watch
from partitioner.onnx_io import Model
from partitioner.plan import Candidate
from partitioner.tensors import TensorSpec

_KIND_OF = {Turn.LOST: kinds.NODE_LOST, Turn.BACK: kinds.NODE_BACK, Turn.RESTARTED: kinds.NODE_RESTARTED}


class Members(Protocol):
    """The connections that are used beside heartbeats."""

    def drop(self, name: str) -> None:
        """Ends all calls that wait for a node which is lost."""
        ...

    def renew(self, name: str) -> None:
        """Connects to a node anew.

        Raises:
            NodeError: It cannot be reached.
        """
        ...


class Service:
    """A deployment under supervision. Thread-safe: requests may be submitted from several threads."""

    def __init__(
        self,
        deployer: Deployer,
        replanner: Replanner,
        hearts: Mapping[str, Heart],
        *,
        name: str,
        inputs: Iterable[TensorSpec],
        events: EventLog,
        members: Members,
        on_served: Callable[[Served], None] = lambda _served: None,
        patience: Patience | None = None,
    ) -> None:
        """Begins with `start`.

        Args:
            deployer: Puts plans on nodes.
            replanner: Chooses them.
            hearts: Of each node. They belong to the service from now on.
            name: Of the deployment.
            inputs: What a request brings.
            events: Takes what happens.
            members: Told of nodes that are lost and back.
            on_served: Told of each plan that begins to serve.
            patience: How long to wait for what.
        """
        patience = patience or Patience()
        clock = time.perf_counter
        self.name = name
        self.events = events
        self._deployer = deployer
        self._members = members
        self._desk = Desk(name=name, inputs=inputs, events=events, clock=clock)
        self._watch = Watch(dict(hearts), self._on_sign, prepare=members.renew, clock=clock)
        diagnosis = Diagnosis(self._watch, self._desk, clock, answer_seconds=patience.for_answers)
        starter = Starter(
            deployer=deployer,
            replanner=replanner,
            watch=self._watch,
            diagnosis=diagnosis,
            events=events,
            clock=clock,
            wait_seconds=patience.for_nodes,
            avoided_seconds=patience.for_another_try,
        )
        self._supervisor = Supervisor(
            name=name,
            desk=self._desk,
            starter=starter,
            diagnosis=diagnosis,
            watch=self._watch,
            events=events,
            on_served=on_served,
            patience=patience,
            clock=clock,
        )

    def start(self, candidate: Candidate, running: Served | None = None) -> None:
        """Watches the nodes, brings a plan up or adopts the one that runs; returns once it, or another one, serves.

        Raises:
            CoordinatorError: None could be brought up; says why.
        """
        self._watch.start()
        self._supervisor.start(candidate, running)

    @property
    def candidate(self) -> Candidate | None:
        """The plan that serves; None while none does."""
        line = self._desk.line
        return line.candidate if line else None

    @property
    def epoch(self) -> int:
        """Of the plan that serves; 0 while none does."""
        line = self._desk.line
        return line.epoch if line else 0

    @property
    def n_dropped(self) -> int:
        """Answers that came late or twice, and were dropped."""
        return self._desk.n_dropped

    @property
    def sent_bytes(self) -> int:
        """Weights and graphs that nodes lacked, all plans together."""
        return self._deployer.sent_bytes

    @property
    def sending_seconds(self) -> float:
        """That sending them took."""
        return self._deployer.sending_seconds

    @property
    def alive(self) -> frozenset[str]:
        """Nodes that are not lost."""
        return self._watch.alive

    def submit(self, inputs: Mapping[str, np.ndarray], *, timeout_seconds: float = 60.0) -> "Future[Answer]":
        """Takes a request once the window has room; the future gets the answer or the error.

        Raises:
            RequestRejectedError: An input is missing, or is none of the model.
            ServiceEndedError: The service was closed, or gave up.
            MeasurementError: The window had no room within the timeout.
        """
        return self._desk.submit(inputs, timeout_seconds=timeout_seconds)

    def infer(self, inputs: Mapping[str, np.ndarray], *, timeout_seconds: float = 60.0) -> Answer:
        """Sends one request and waits for its answer.

        Raises:
            StageFailedError: A stage failed on it.
            CoordinatorError: See `submit`; or no answer came within the timeout.
        """
        try:
            return self.submit(inputs, timeout_seconds=timeout_seconds).result(timeout_seconds)
        except TimeoutError as error:
            raise MeasurementError(
                f"Deployment {self.name} did not answer within {timeout_seconds:.0f} s: look at its events."
            ) from error

    @property
    def gate(self) -> OutputGate:
        """What the answers of the plan that serves are held against; exact while none does."""
        candidate = self.candidate
        return OutputGate.of(candidate.cost) if candidate else EXACT

    def check(self, *, timeout_seconds: float = 60.0) -> OutputErrors:
        """How far the canary's outputs are off now. Where it is too far, the plan is replaced.

        Raises:
            OutputMismatchError: They are further off than the plan's gate permits.
            CoordinatorError: See `infer`.
        """
        canary: Canary = self._deployer.canary
        promise = self._desk.submit(canary.inputs, timeout_seconds=timeout_seconds)
        try:
            outputs = promise.result(timeout_seconds).outputs
            gate = OutputGate.of(promise.line.candidate.cost) if promise.line else EXACT
            return gate.check(outputs, canary.expected)
        except OutputMismatchError as error:
            if promise.line is not None:
                promise.line.wrong = error
                self._supervisor.wake()
            raise
        except TimeoutError as error:
            raise MeasurementError(
                f"Deployment {self.name} did not answer within {timeout_seconds:.0f} s: look at its events."
            ) from error

    def switch(self, candidate: Candidate) -> "Future[None]":
        """Has another plan serve, without losing a request; the future is done once it does. It cannot be cancelled."""
        return self._supervisor.switch(candidate)

    def close(self) -> None:
        """Ends the service, and takes the plan off the nodes that are there; open requests end in an error."""
        self._supervisor.close()
        self._desk.end("it was closed.")
        self._deployer.take_down(self._watch.alive)
        self._watch.close()

    def _on_sign(self, sign: Sign) -> None:
        self.events.tell(_KIND_OF[sign.turn], node=sign.node, cause=sign.reason, duration_seconds=sign.seconds)
        if sign.turn is Turn.LOST:
            self._members.drop(sign.node)
            self._supervisor.lost(sign.node)
        else:
            self._supervisor.renewed(sign.node)


@contextmanager
def serve_plan(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    replanner: Replanner,
    *,
    name: str | None = None,
    running: Served | None = None,
    lease_seconds: float = 0.0,
    events: EventLog | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_served: Callable[[Served], None] = lambda _served: None,
    patience: Patience | None = None,
    connect: Connect = connect_node,
    on_lane: OnLane = lambda _lane, _n_done, _n_total, _what: None,
) -> Iterator[Service]:
    """A plan, live and under supervision for as long as the context lasts.

    Args:
        fleet: All nodes, connected.
        model: What is served.
        candidate: The plan.
        replanner: Chooses others.
        name: Of the deployment; drawn where None.
        running: What another coordinator left running, to be adopted; it names the deployment.
        lease_seconds: After which nodes free what no heartbeat asks after; 0: never.
        events: Takes what happens; a log of its own where None.
        on_event: Told of each event.
        on_served: Told of each plan that begins to serve.
        patience: How long to wait for what.
        connect: Opens a connection to a node.
        on_lane: Told how far weights are on their way, a lane for each node.

    Raises:
        CoordinatorError: No plan could be brought up.
        NodeError: A node cannot be reached at the start.
    """
    name = running.name if running else name or f"{model.graph.name}-{secrets.token_hex(4)}"
    events = events or EventLog()
    if on_event is not None:
        events.listen(on_event)
    roster = Roster(fleet, connect)
    try:
        for node in fleet.nodes:
            roster.renew(node.name)
        deployer = PlanDeployer(roster, model, name=name, lease_seconds=lease_seconds, on_lane=on_lane)
        service = Service(
            deployer,
            replanner,
            {node.name: NodeHeart(node.address, node.tls, name) for node in fleet.nodes},
            name=name,
            inputs=[model.graph.spec_of[one] for one in model.graph.boundaries[0]],
            events=events,
            members=roster,
            on_served=on_served,
            patience=patience,
        )
        try:
            service.start(candidate, running)
            yield service
        finally:
            service.close()
    finally:
        roster.close()
