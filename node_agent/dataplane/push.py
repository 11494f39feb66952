"""The receiving end of a Push stream: frames go to their stages, probes come back."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import grpc

from node_agent.dataplane.frame import decode, encode
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.stage import Arrival, Stage
from node_agent.errors import FrameError, NodeError, RequestRejectedError
from node_agent.messages import ErrorFrame, ProbeFrame, SubscribeFrame, TensorFrame

_logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 64 << 20
"""A probe that asks for larger answers, all together, is refused."""
MAX_ANSWERS = 1024


class StageFinder(Protocol):
    """Knows the stages of a node."""

    def find(self, deployment: str, epoch: int, stage: int) -> Stage | None:
        """The stage; None where it is here, but of other epochs.

        Raises:
            StageMissingError: There is none of any epoch.
        """
        ...


class PushStream:
    """One incoming stream. A thread of its own reads it, so that its end can be told at any time."""

    def __init__(self, received: Iterator[bytes], stages: StageFinder) -> None:
        self._received = received
        self._stages = stages
        self._answers = OutgoingLink()
        self._followed: set[Stage] = set()
        self._dropped: tuple[str, int, int] | None = None
        self._reader = threading.Thread(target=self._read, name="push stream", daemon=True)

    def answers(self) -> Iterator[bytes]:
        """Reads the stream until it ends; gives the answers to its probes.

        Raises:
            FrameError: What came is no frame, or not one that is pushed.
            StageMissingError: A frame is for a stage that this node does not have.
            NodeUnreachableError: A stage cannot reach the next node; the message names it.
        """
        self._reader.start()
        try:
            yield from self._answers
        finally:
            self._answers.close()
            for stage in tuple(self._followed):
                stage.failure.ignore(self._end)

    def close(self) -> None:
        """Ends the stream from this side, without an error."""
        self._answers.close()

    def _end(self, error: NodeError) -> None:
        self._answers.close(error)

    def _read(self) -> None:
        try:
            for received in self._received:
                self._take(received)
            self._answers.finish()
        except QueueClosedError:
            self._answers.finish()
        except NodeError as exc:
            self._end(type(exc)(*exc.args))  # afresh: its traceback would hold the frame until garbage is collected
        except grpc.RpcError:  # the other end is gone
            self._answers.close()
        except Exception:
            _logger.exception("push stream broke")
            self._end(NodeError("A push stream broke on the node for a reason that is not the sender's: see its log."))

    def _take(self, received: bytes) -> None:
        started = time.perf_counter()
        frame = decode(received)
        now = time.perf_counter()
        if isinstance(frame, ProbeFrame):
            self._answer(frame)
        elif isinstance(frame, SubscribeFrame):
            raise FrameError("A subscription came on a Push stream: it belongs on Results.")
        else:
            self._pass_in(Arrival(frame=frame, at=now, decode_seconds=now - started))

    def _answer(self, probe: ProbeFrame) -> None:
        n_bytes = probe.n_answers * probe.answer_bytes
        if n_bytes > MAX_ANSWER_BYTES or probe.n_answers > MAX_ANSWERS:
            raise RequestRejectedError(
                f"A probe asks for {probe.n_answers} answers of {n_bytes} bytes together: "
                f"at most {MAX_ANSWERS} of {MAX_ANSWER_BYTES}."
            )
        self._answers.emulate(probe.link_back)
        for _ in range(probe.n_answers):
            self._answers.put(encode(ProbeFrame(request=probe.request, payload=bytes(probe.answer_bytes))))

    def _pass_in(self, arrival: Arrival) -> None:
        frame = arrival.frame
        while (stage := self._stages.find(frame.deployment, frame.epoch, frame.stage)) is not None:
            self._follow(stage)
            with suppress(QueueClosedError):  # replaced or unloaded while the frame waited: look again
                return stage.offer(arrival)
        return self._drop(frame)

    def _follow(self, stage: Stage) -> None:
        if stage not in self._followed:
            self._followed.add(stage)
            stage.failure.listen(self._end)

    def _drop(self, frame: TensorFrame | ErrorFrame) -> None:
        """Drops a frame of another epoch; a row of them is logged once."""
        key = (frame.deployment, frame.stage, frame.epoch)
        if key != self._dropped:
            self._dropped = key
            _logger.warning(
                "frames of another epoch are dropped",
                extra={"deployment": frame.deployment, "stage": frame.stage, "epoch": frame.epoch},
            )
