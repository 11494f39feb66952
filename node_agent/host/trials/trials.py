"""Decides which shards are tried before they are opened, and what their trials mean."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from node_agent.errors import ShardRejectedError
from node_agent.host.runtime import UNKNOWN_SIZE, RuntimeOptions
from node_agent.host.trials.confinement import Confinement
from node_agent.host.trials.helper_process import HelperLostError, HelperProcess
from node_agent.host.trials.order import TrialOrder, TrialOutcome, Verdict
from node_agent.host.trials.record import TrialRecord
from node_agent.host.trials.system_calls import why_no_filter
from node_agent.limits import Limits, size_text
from node_agent.messages import ShardRef, TensorSpec

_BYTES_PER_CPU_SECOND = 25_000_000
"""Of a shard: reading, copying and packing its weights is given so much time beyond `Limits.trial_seconds`."""
_WALL_FACTOR = 3.0
"""Wall-clock time per processor time: others may want the processor, too, and the disk is waited for."""
_CPU_PROVIDER = "CPUExecutionProvider"
_logger = logging.getLogger(__name__)


class Trials:
    """The trials of one agent. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        options: RuntimeOptions,
        limits: Limits,
        *,
        runtime: str,
        memory_limit: int,
        memory_left: Callable[[], int],
        cpu_limit: float = 0.0,
        is_off: bool = False,
    ) -> None:
        """Reads the record; no process is started.

        Args:
            folder: Of the store.
            options: How the agent opens sessions.
            limits: Of the agent.
            runtime: Name and version of the runtime.
            memory_limit: Bytes that the agent may hold; for messages.
            memory_left: Bytes that the agent may still take, now.
            cpu_limit: Cores' worth of time that the agent has; 0: no quota.
            is_off: Whether shards are opened untried.
        """
        self._folder = folder
        self._options = options
        self._limits = limits
        self._memory_limit = memory_limit
        self._memory_left = memory_left
        self._share = min(cpu_limit or 1.0, 1.0)
        self._is_off = is_off
        self._is_cpu_only = tuple(options.providers) == (_CPU_PROVIDER,)
        self._why_no_filter = why_no_filter() if self._is_cpu_only else "drivers of other providers want system calls"
        self._fault = ""
        environment = f"{runtime} {options.optimisation} {','.join(options.providers)}"
        self._record = TrialRecord(folder, environment)
        self._helper = HelperProcess()
        if is_off:
            _logger.warning("shards are opened untried", extra={"option": "--without-trials"})

    @property
    def description(self) -> str:
        """How shards are tried: what a node says of itself."""
        if self._is_off:
            return "none: --without-trials was given"
        if self._fault:
            return f"none: {self._fault}"
        lacking = [] if self._is_cpu_only else ["memory is watched, but not bounded"]
        lacking += [f"system calls stay, since {self._why_no_filter}"] if self._why_no_filter else []
        return "limited" + (f", but {' and '.join(lacking)}" if lacking else "")

    def prepare(self) -> None:
        """Shards are about to come: has the helper ready for them."""
        if not self._is_off:
            self._helper.warm_up()

    def check(self, shard: ShardRef, sizes: Sequence[TensorSpec] = ()) -> None:
        """Makes sure that a shard whose files lie in the store may be opened; a new one is tried.

        Args:
            shard: The shard.
            sizes: Shapes of tensors that may be its inputs, where the graph leaves them open.

        Raises:
            ShardRejectedError: It may not be opened, or cannot be tried.
        """
        if self._is_off:
            return
        left = self._memory_left()
        known = self._record.memory_of(shard.graph.sha256)
        if known is not None:
            if known > left:
                raise ShardRejectedError(
                    f"{_named(shard)} {self._memory_text(left)}, it took {size_text(known)} before."
                )
            return
        order = self._order(shard, sizes, left)
        try:
            outcome = self._helper.ask(order)
        except HelperLostError as exc:
            outcome = TrialOutcome(verdict=Verdict.NOT_CONFINED, detail=str(exc))
        self._fault = outcome.detail if outcome.verdict is Verdict.NOT_CONFINED else ""
        if outcome.verdict is not Verdict.PASSED:
            fault = self._fault_of(outcome, order)
            why = {"verdict": outcome.verdict.value, "detail": ascii(outcome.detail)}  # the child's word may be hostile
            _logger.warning("shard refused", extra={"sha256": shard.graph.sha256, **why})
            raise ShardRejectedError(f"{_named(shard)} {fault}")
        self._record.keep(shard.graph.sha256, outcome.memory_bytes)

    def _order(self, shard: ShardRef, sizes: Sequence[TensorSpec], memory_bytes: int) -> TrialOrder:
        digests = {blob.sha256 for blob in (shard.graph, *shard.blobs)}
        n_bytes = sum((self._folder / digest).stat().st_size for digest in digests)  # not what the order says
        cpu_seconds = math.ceil(self._limits.trial_seconds) + n_bytes // _BYTES_PER_CPU_SECOND
        return TrialOrder(
            folder=str(self._folder.absolute()),
            graph=shard.graph.sha256,
            blobs=tuple({blob.sha256 for blob in shard.blobs}),
            sizes={spec.name: spec.shape for spec in sizes if UNKNOWN_SIZE not in spec.shape},
            providers=self._options.providers,
            optimisation=self._options.optimisation,
            confinement=Confinement(
                memory_bytes=max(memory_bytes, 0),
                cpu_seconds=cpu_seconds,
                is_bounded=self._is_cpu_only,
                is_filtered=not self._why_no_filter,
            ),
            wall_seconds=cpu_seconds * _WALL_FACTOR / self._share,
        )

    def _fault_of(self, outcome: TrialOutcome, order: TrialOrder) -> str:
        """What is wrong with a shard, by its trial; a predicate."""
        confinement = order.confinement
        option = f"--trial-seconds {self._limits.trial_seconds:g}"
        match outcome.verdict:
            case Verdict.MEMORY:
                detail = f": {outcome.detail}" if outcome.detail else ""
                return f"{self._memory_text(confinement.memory_bytes)}{detail}."
            case Verdict.CPU_TIME:
                return (
                    f"took more than {confinement.cpu_seconds:g} s of processor time to open and run once, which the "
                    f"limit allows ({option}): it may never end, or needs a higher limit."
                )
            case Verdict.WALL_TIME:
                return f"did not open and run once within {order.wall_seconds:g} s, three times what {option} allows."
            case Verdict.CRASHED:
                return f"makes onnxruntime crash ({outcome.detail}): the runtime of this node must not see it."
            case Verdict.NOT_CONFINED:
                return (
                    f"cannot be tried in a limited process ({outcome.detail}): mend that, or start the agent with "
                    "--without-trials where you trust all who may send shards."
                )
        return f"is refused: {outcome.detail}"

    def _memory_text(self, left: int) -> str:
        limit = f"--max-memory, {size_text(self._memory_limit)}"
        return f"needs more memory than the {size_text(max(left, 0))} that the limit ({limit}) leaves"

    def close(self) -> None:
        """Ends the helper."""
        self._helper.close()


def _named(shard: ShardRef) -> str:
    return f"Shard {shard.graph.sha256}"
