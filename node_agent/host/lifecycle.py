"""The stages of a node: loaded, found, replaced, unloaded."""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack

from node_agent.codecs import check_codec
from node_agent.config import TlsFiles
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.sender import FrameSender
from node_agent.dataplane.stage import Stage
from node_agent.errors import NodeError, NodeUnreachableError, RequestRejectedError, StageMissingError
from node_agent.host.request_rules import check_load
from node_agent.host.runtime import ShardSession, check_tensors
from node_agent.messages import NextHop, ShardRef, StageLoad, StageLoaded, StageStatus

_logger = logging.getLogger(__name__)


class Lifecycle:
    """All stages of one node. Thread-safe; loads and unloads one at a time."""

    def __init__(
        self, *, node: str, open_shard: Callable[[ShardRef], ShardSession], is_emulated: bool, tls: TlsFiles | None
    ) -> None:
        """Begins without stages.

        Args:
            node: Name of the node, for messages.
            open_shard: Opens a session on a shard of the node's store.
            is_emulated: Whether stages keep the pace that they are told.
            tls: Files for the streams to other nodes.
        """
        self._node = node
        self._open_shard = open_shard
        self._is_emulated = is_emulated
        self._tls = tls
        self._changing = threading.Lock()
        self._stages: dict[tuple[str, int], Stage] = {}
        """Replaced as a whole, so that it can be read without a lock."""

    def load(self, load: StageLoad) -> StageLoaded:
        """Makes a stage ready and then ends the one that it replaces; where it fails, that one goes on.

        Raises:
            RequestRejectedError: The order makes no sense, or is older than the stage that is there.
            BlobMissingError: The store lacks a blob of the shard.
            ShardRejectedError: The runtime cannot load the shard, or its tensors are not those announced.
            CodecMissingError: The node lacks the codec in which the stage shall send.
            NodeUnreachableError: The next node cannot be reached from here.
        """
        check_load(load)
        key = (load.deployment, load.stage)
        with self._changing:
            former = self._stages.get(key)
            if former is not None and former.load.epoch > load.epoch:
                raise RequestRejectedError(
                    f"Stage {load.stage} of {load.deployment!r} on {self._node!r} is at epoch {former.load.epoch}: "
                    f"an order of epoch {load.epoch} comes too late."
                )
            session = self._open_shard(load.shard)
            try:
                check_tensors(session, load)
                stage = self._start(load, session)
            except NodeError:
                session.close()
                raise
            self._stages = {**self._stages, key: stage}
            if former is not None:
                former.close()
        _logger.info(
            "stage loaded",
            extra={"deployment": load.deployment, "epoch": load.epoch, "stage": load.stage, "seconds": session.seconds},
        )
        return StageLoaded(session_seconds=session.seconds, memory_bytes=session.memory_bytes)

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
            return open_sender(hop.plane, hop.address, link=hop.link, tls=self._tls)
        except NodeUnreachableError as exc:
            raise NodeUnreachableError(f"From node {self._node!r}: {exc}") from exc

    def find(self, deployment: str, stage: int) -> Stage:
        """The stage.

        Raises:
            StageMissingError: There is none.
        """
        found = self._stages.get((deployment, stage))
        if found is None:
            raise StageMissingError(f"Node {self._node!r} has no stage {stage} of {deployment!r}: load it first.")
        return found

    def find_last(self, deployment: str, epoch: int) -> Outbox:
        """Where the results of a deployment come out.

        Raises:
            StageMissingError: Its last stage is not here, or of another epoch.
        """
        for stage in self._stages.values():
            if stage.load.deployment == deployment and isinstance(stage.destination, Outbox):
                if stage.load.epoch == epoch:
                    return stage.destination
                raise StageMissingError(
                    f"The last stage of {deployment!r} on node {self._node!r} is of epoch {stage.load.epoch}, "
                    f"not {epoch}."
                )
        raise StageMissingError(f"Node {self._node!r} does not hold the last stage of {deployment!r}: load it first.")

    def unload(self, deployment: str) -> int:
        """Ends the stages of a deployment and says how many there were."""
        with self._changing:
            ended = [stage for stage in self._stages.values() if stage.load.deployment == deployment]
            self._stages = {key: stage for key, stage in self._stages.items() if stage not in ended}
            for stage in ended:
                stage.close()
        if ended:
            _logger.info("deployment unloaded", extra={"deployment": deployment, "n_stages": len(ended)})
        return len(ended)

    def statuses(self) -> tuple[StageStatus, ...]:
        """Running sums of all stages."""
        return tuple(stage.status() for stage in self._stages.values())

    def close(self) -> None:
        """Ends all stages."""
        for deployment in {deployment for deployment, _ in self._stages}:
            self.unload(deployment)
