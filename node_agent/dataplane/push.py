"""The receiving end of a Push stream: frames go to their stages, probes come back."""

import logging
import time
from collections.abc import Iterable
from typing import Protocol

from node_agent.dataplane.decoder import FrameDecoder
from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.frame import encode
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.stage import Arrival, Stage
from node_agent.dataplane.stream import Link
from node_agent.errors import FrameError, NodeError, RequestRejectedError
from node_agent.messages import ErrorFrame, ProbeFrame, TensorFrame

_logger = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 64 << 20
"""A probe that asks for larger answers, all together, is refused."""
MAX_ANSWERS = 1024
_FOR_STAGES = (TensorFrame, ErrorFrame)
_now = time.perf_counter


class StageFinder(Protocol):
    """Knows the stages of a node."""

    def find(self, deployment: str, epoch: int, stage: int) -> Stage | None:
        """The stage; None where it is here, but of other epochs.

        Raises:
            StageMissingError: There is none of any epoch.
        """
        ...


class PushStream:
    """The frames of one incoming stream, over any plane. Used by the thread that reads the stream."""

    def __init__(self, stages: StageFinder, answers: Link) -> None:
        """Answers to probes go to `answers`; it is closed with an error when a stage fails that the stream feeds."""
        self._stages = stages
        self._answers = answers
        self._decoder = FrameDecoder()
        self._followed: set[Stage] = set()
        self._dropped: tuple[str, int, int] | None = None

    def take_all(self, received: Iterable[Buffer]) -> None:
        """Takes messages until the stream ends, or a stage that is unloaded ends it.

        Raises:
            FrameError: What came is no frame, or not one that is pushed.
            StageMissingError: A frame is for a stage that this node does not have.
            NodeError: What ended a stage; NodeUnreachableError names the node behind it that is gone.
        """
        try:
            for message in received:
                self._take(message)
                del message  # else it would lie here until the next one has come
        except QueueClosedError:
            return
        finally:
            for stage in self._followed:
                stage.failure.ignore(self._end)

    def _end(self, error: NodeError) -> None:
        self._answers.close(error)

    def _take(self, received: Buffer) -> None:
        started = _now()
        frame = self._decoder.decode(received)
        if isinstance(frame, _FOR_STAGES):  # by far the most, and a union would be made anew each time
            self._pass_in(Arrival(frame, _now() - started))
        elif isinstance(frame, ProbeFrame):
            self._answer(frame)
        else:
            raise FrameError("A subscription came on a Push stream: it belongs on Results.")

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
            if stage not in self._followed:
                self._followed.add(stage)
                stage.failure.listen(self._end)
            try:
                return stage.offer(arrival)
            except QueueClosedError:  # replaced or unloaded while the frame waited: look again
                continue
        return self._drop(frame)

    def _drop(self, frame: TensorFrame | ErrorFrame) -> None:
        """Drops a frame of another epoch; a row of them is logged once."""
        key = (frame.deployment, frame.stage, frame.epoch)
        if key != self._dropped:
            self._dropped = key
            _logger.warning(
                "frames of another epoch are dropped",
                extra={"deployment": frame.deployment, "stage": frame.stage, "epoch": frame.epoch},
            )
