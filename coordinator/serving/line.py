"""One plan that serves: its pipeline, and the thread that sends requests to it."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np

from coordinator.errors import MeasurementError, OutputMismatchError
from coordinator.pipeline import Answer, Pipeline
from coordinator.serving.replanning import Circumstances
from node_agent.errors import NodeError, NodeUnreachableError
from partitioner.plan import Candidate

_PUT_SECONDS = 60.0

NextRequest = Callable[[int], "tuple[int, Mapping[str, np.ndarray]] | None"]
"""Waits for the next request to send in an epoch; None once the epoch is over."""
OnDone = Callable[["Line", int, "Future[Answer]"], None]
"""Told of a line, a request, and the future of its attempt there, which is done."""


@dataclass(eq=False, kw_only=True)
class Line:
    """A live plan. `begin` starts to send to it, `close` ends it."""

    epoch: int
    candidate: Candidate
    pipeline: Pipeline
    instances: Mapping[str, str]
    """Process of each of its nodes: another one does not hold its stage."""
    last_answer_at: float
    """By the clock of its user; when it went live, before there was one."""
    chosen_in: Circumstances | None = None
    """In which its plan was the best; None where it was asked for by name."""
    wrong: OutputMismatchError | None = None
    """What it was found to compute wrongly."""

    def begin(self, next_request: NextRequest, on_done: OnDone) -> None:
        """Sends requests from now on, until `next_request` says that the epoch is over or the pipeline breaks."""
        threading.Thread(
            target=self._send_all, args=(next_request, on_done), name=f"requests of epoch {self.epoch}", daemon=True
        ).start()

    def _send_all(self, next_request: NextRequest, on_done: OnDone) -> None:
        while (due := next_request(self.epoch)) is not None:
            request, inputs = due
            try:
                future = self.pipeline.submit(inputs, timeout_seconds=_PUT_SECONDS)
            except (NodeError, MeasurementError) as error:
                self.pipeline.fail(error if isinstance(error, NodeError) else NodeUnreachableError(str(error)))
                return
            future.add_done_callback(partial(on_done, self, request))

    def close(self) -> None:
        """Ends the pipeline, in the background: its first node may hang."""
        threading.Thread(target=self.pipeline.close, name=f"end of epoch {self.epoch}", daemon=True).start()
