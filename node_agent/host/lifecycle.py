"""The stages of a node: loaded, found, replaced, unloaded, and freed when their lease is over."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from node_agent.codecs import check_codec
from node_agent.config import TlsFiles
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.sender import FrameSender
from node_agent.dataplane.stage import Stage
from node_agent.errors import NodeUnreachableError, RequestRejectedError, StageMissingError
from node_agent.host.leases import Leases
from node_agent.host.request_rules import check_load
from node_agent.host.runtime import ShardSession, check_tensors
from node_agent.messages import NextHop, ShardRef, StageLoad, StageLoaded, StageStatus, TensorSpec
from node_agent.threads import start_or_do, started

REACH_SECONDS = 5.0
"""For the next node to take the stream to it; longer, and a link that is cut would hold up the recovery from it."""

_logger = logging.getLogger(__name__)

Key = tuple[str, int, int]
"""Deployment, epoch, stage."""


class Lifecycle:
    """All stages of one node. Thread-safe; sessions are opened one at a time, so that their memory can be told apart.

    Two epochs of one deployment live side by side: a plan is made ready while another one serves.
    """

    def __init__(
        self,
        *,
        node: str,
        open_shard: Callable[[ShardRef, Sequence[TensorSpec]], ShardSession],
        is_emulated: bool,
        tls: TlsFiles | None,
    ) -> None:
        """Begins without stages.

        Args:
            node: Name of the node, for messages.
            open_shard: Opens a session on a shard of the node's store, given the shapes that its stage receives.
            is_emulated: Whether stages keep the pace that they are told.
            tls: Files for the streams to other nodes.
        """
        self._node = node
        self._open_shard = open_shard
        self._is_emulated = is_emulated
        self._tls = tls
        self._opening = threading.Lock()
        self._changed = threading.Condition()
        self._stages: dict[Key, Stage] = {}
        """Replaced as a whole, so that it can be read without a lock."""
        self._leases = Leases()
        self._is_closed = False
        self._sweeper: threading.Thread | None = None

    def load(self, load: StageLoad) -> StageLoaded:
        """Makes a stage ready and then ends the one of the same epoch that it replaces; where it fails, that goes on.

        Raises:
            RequestRejectedError: The order makes no sense, or is older than the stage that is there.
            BlobMissingError: The store lacks a blob of the shard.
            ShardRejectedError: The shard did not pass its trial, or its tensors are not those announced.
            CodecMissingError: The node lacks the codec in which the stage shall send.
            NodeUnreachableError: The next node cannot be reached from here.
        """
        check_load(load)
        self._check_epoch(load)
        with self._opening:
            session = self._open_shard(load.shard, load.receives)
        try:
            check_tensors(session, load)
            stage = self._start(load, session)
        except BaseException:
            session.close()
            raise
        try:
            former = self._put(stage)
        except BaseException:
            stage.close()
            raise
        if former is not None:
            former.close()
        _logger.info(
            "stage loaded",
            extra={"deployment": load.deployment, "epoch": load.epoch, "stage": load.stage, "seconds": session.seconds},
        )
        return StageLoaded(session_seconds=session.seconds, memory_bytes=session.memory_bytes)

    def _check_epoch(self, load: StageLoad) -> None:
        newest = max(self._epochs(load.deployment, load.stage), default=load.epoch)
        if newest > load.epoch:
            raise RequestRejectedError(
                f"Stage {load.stage} of {load.deployment!r} on {self._node!r} is at epoch {newest}: "
                f"an order of epoch {load.epoch} comes too late."
            )

    def _epochs(self, deployment: str, stage: int) -> list[int]:
        return [key[1] for key in self._stages if (key[0], key[2]) == (deployment, stage)]

    def _start(self, load: StageLoad, session: ShardSession) -> Stage:
        if load.codec:
            check_codec(load.codec)
        senders = self._reach_next(load)
        destination, *further = senders or (Outbox(),)
        stage = Stage(
            load,
            node=self._node,
            computation=session,
            destination=destination,
            further=further,
            is_paced=self._is_emulated,
        )
        for sender in senders:
            sender.failure.listen(stage.fail)
        return stage

    def _reach_next(self, load: StageLoad) -> tuple[FrameSender, ...]:
        """Streams to all nodes that bear the next stage; none stays open where one cannot be reached."""
        with ExitStack() as reached:
            senders = []
            for hop in load.hops:
                senders.append(self._reach(hop))
                reached.callback(senders[-1].close)
            reached.pop_all()
        return tuple(senders)

    def _reach(self, hop: NextHop) -> FrameSender:
        try:
            return open_sender(hop.plane, hop.address, link=hop.link, tls=self._tls, timeout_seconds=REACH_SECONDS)
        except NodeUnreachableError as exc:
            raise NodeUnreachableError(f"From node {self._node!r}: {exc}") from exc

    def _put(self, stage: Stage) -> Stage | None:
        """Takes a stage in, unless a newer one came while it was made; gives the one that it replaces."""
        load = stage.load
        key = (load.deployment, load.epoch, load.stage)
        with self._changed:
            self._check_epoch(load)
            if self._is_closed:
                raise RequestRejectedError(f"Node {self._node!r} ends: it takes no more stages.")
            if load.lease_seconds and self._sweeper is None:
                self._sweeper = started(self._sweep, "leases")
            former = self._stages.get(key)
            self._stages = {**self._stages, key: stage}
            self._leases.grant(load.deployment, load.lease_seconds, time.monotonic())
            self._changed.notify_all()
        return former

    def find(self, deployment: str, epoch: int, stage: int) -> Stage | None:
        """The stage; None where it is here, but of other epochs.

        Raises:
            StageMissingError: There is none of any epoch.
        """
        found = self._stages.get((deployment, epoch, stage))
        if found is None and not self._epochs(deployment, stage):
            raise StageMissingError(f"Node {self._node!r} has no stage {stage} of {deployment!r}: load it first.")
        return found

    def find_last(self, deployment: str, epoch: int) -> Outbox:
        """Where the results of a deployment come out.

        Raises:
            StageMissingError: Its last stage is not here, or of another epoch.
        """
        outboxes = {
            stage.load.epoch: stage.destination
            for stage in self._stages.values()
            if stage.load.deployment == deployment and isinstance(stage.destination, Outbox)
        }
        if epoch in outboxes:
            return outboxes[epoch]
        if outboxes:
            raise StageMissingError(
                f"The last stage of {deployment!r} on node {self._node!r} is of epoch "
                f"{' and '.join(map(str, sorted(outboxes)))}, not {epoch}."
            )
        raise StageMissingError(f"Node {self._node!r} does not hold the last stage of {deployment!r}: load it first.")

    def unload(self, deployment: str, first_epoch: int = 0, last_epoch: int | None = None) -> int:
        """Ends the stages of a deployment, those of the epochs in between, and says how many there were."""
        with self._changed:
            ended = self._take_out(
                [
                    key
                    for key in self._stages
                    if key[0] == deployment
                    if first_epoch <= key[1] and (last_epoch is None or key[1] <= last_epoch)
                ]
            )
        _end(ended)
        if ended:
            _logger.info(
                "deployment unloaded",
                extra={
                    "deployment": deployment,
                    "n_stages": len(ended),
                    "epochs": sorted({stage.load.epoch for stage in ended}),
                },
            )
        return len(ended)

    def _take_out(self, keys: Iterable[Key]) -> list[Stage]:
        """Removes stages; to be ended by the caller once it holds no lock, since that may take seconds."""
        gone = {key: self._stages[key] for key in keys}
        self._stages = {key: stage for key, stage in self._stages.items() if key not in gone}
        self._leases.keep({deployment for deployment, _, _ in self._stages})
        return list(gone.values())

    def statuses(self) -> tuple[StageStatus, ...]:
        """Running sums of all stages."""
        return tuple(stage.status() for stage in self._stages.values())

    def renew(self, deployments: Iterable[str]) -> None:
        """Begins the leases of deployments anew."""
        with self._changed:
            self._leases.renew(deployments, time.monotonic())

    def _sweep(self) -> None:
        """Frees what nobody asks after, until the lifecycle is closed."""
        while (expired := self._await_expiry()) is not None:
            for deployment, stages in expired.items():
                _logger.warning("lease is over", extra={"deployment": deployment, "n_stages": len(stages)})
                _end(stages)

    def _await_expiry(self) -> dict[str, list[Stage]] | None:
        """Stages by deployment whose lease is over, already taken out; None once the lifecycle is closed."""
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                names = self._leases.expired(now)
                if names:
                    return {name: self._take_out([key for key in self._stages if key[0] == name]) for name in names}
                self._changed.wait(min(self._leases.next_end - now, threading.TIMEOUT_MAX))
        return None

    def close(self) -> None:
        """Ends all stages; none can be loaded afterwards."""
        with self._changed:
            self._is_closed = True
            ended = self._take_out(self._stages)
            self._changed.notify_all()
        _end(ended)
        if self._sweeper is not None:
            self._sweeper.join()


def _end(stages: Sequence[Stage]) -> None:
    """Ends stages side by side: one whose next node hangs takes a second or two."""
    threads = [start_or_do(stage.close, "end of a stage") for stage in stages]
    for thread in filter(None, threads):
        thread.join()
