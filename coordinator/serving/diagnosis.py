"""What is wrong with a line, from what is known of its nodes, its streams and its answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coordinator.serving import events as kinds
from coordinator.serving.desk import Desk
from coordinator.serving.line import Line
from coordinator.serving.replanning import devices_of
from coordinator.serving.watch import Watch
from node_agent.errors import NodeUnreachableError
from partitioner.plan import Plan

CONFIRM_SECONDS = 1.5
"""For nodes to answer after a stream broke: a dead one shows within a fraction, a frozen one is left out for now."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line does not serve."""

    kind: str
    """Of events."""
    cause: str


class Diagnosis:
    """Looks at lines. Thread-safe."""

    def __init__(self, watch: Watch, desk: Desk, clock: Callable[[], float], *, answer_seconds: float) -> None:
        """Takes what it looks at.

        Args:
            watch: Of the nodes.
            desk: Of the requests.
            clock: That of the desk.
            answer_seconds: Without an answer, requests being in flight, after which a line is stuck; at least ten
                times the latency that is predicted under load.
        """
        self._watch = watch
        self._desk = desk
        self._clock = clock
        self._answer_seconds = answer_seconds

    def fault(self, line: Line) -> Fault | None:
        """What is wrong with a line; None where nothing is."""
        lost = self.lost_node(line.candidate.plan, line.instances)
        if lost is not None:
            return Fault(kinds.NODE_LOST, lost)
        if line.wrong is not None:
            return Fault(kinds.WRONG_OUTPUTS, str(line.wrong))
        if line.pipeline.failure.error is None and self._is_stuck(line):
            line.pipeline.fail(
                NodeUnreachableError(
                    f"Nothing came of plan {line.candidate.plan.describe()!r} for {self._silence(line):.1f} s, though "
                    "requests are in flight and its nodes live."
                )
            )
        error = line.pipeline.failure.error
        return Fault(kinds.LINE_BROKEN, str(error)) if error is not None else None

    def lost_node(self, plan: Plan, instances: Mapping[str, str]) -> str | None:
        """Which stage has lost its node, and why; `instances` are the processes that were given the stages."""
        for index, stage in enumerate(plan.stages):
            for name in stage.devices:
                vital = self._watch.vital(name)
                if not vital.is_alive:
                    return f"stage {index} on '{name}', which {vital.reason}"
                if instances.get(name) and vital.instance != instances[name]:
                    return f"stage {index} on '{name}', which restarted without it"
        return None

    def silent(self, plan: Plan) -> frozenset[str]:
        """Nodes of a plan that do not answer now, whether they count as lost yet or not."""
        devices = devices_of(plan)
        return devices - self._watch.confirm(devices, CONFIRM_SECONDS)

    def instances(self, plan: Plan) -> dict[str, str]:
        """Which process each node of a plan is."""
        return {name: self._watch.vital(name).instance for name in devices_of(plan)}

    def _is_stuck(self, line: Line) -> bool:
        cost, window = line.candidate.cost, line.candidate.plan.window
        limit = max(self._answer_seconds, 10 * (cost.latency_seconds + window * cost.bottleneck_seconds))
        return self._silence(line) > limit

    def _silence(self, line: Line) -> float:
        """For how long nothing came though requests are in flight; 0 where none are."""
        oldest = self._desk.oldest_attempt_at(line.epoch)
        return 0.0 if oldest is None else self._clock() - max(oldest, line.last_answer_at)
