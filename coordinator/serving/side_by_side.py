"""Calls that may hang, side by side, given up as soon as it is known that they are in vain."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from node_agent.errors import NodeUnreachableError

Result = TypeVar("Result")

_LOOK_SECONDS = 0.05
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[Result]):
    index: int
    result: Result | None = None
    error: Exception | None = None


def run_side_by_side(
    calls: Sequence[Callable[[], Result]],
    *,
    why_give_up: Callable[[], str | None],
    on_late: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Results of all calls, each made by a thread of its own. The first error ends the wait.

    Args:
        calls: To be made at once.
        why_give_up: Looked at while waiting; a reason ends the wait.
        on_late: Given what a call returns that nobody waits for any more, to be undone; by its thread.

    Raises:
        NodeUnreachableError: There was a reason to give up; the message is the reason.
        Exception: What the first call raised that failed.
    """
    outcomes: queue.SimpleQueue[_Outcome[Result]] = queue.SimpleQueue()
    lock = threading.Lock()
    is_over = False

    def make(index: int, call: Callable[[], Result]) -> None:
        try:
            outcome = _Outcome(index, result=call())
        except Exception as error:  # noqa: BLE001 - raised again by the one who waits
            outcome = _Outcome(index, error=error)
        with lock:
            if not is_over:
                outcomes.put(outcome)
                return
        if outcome.error is None and outcome.result is not None:
            on_late(outcome.result)
        _logger.info("a call that was given up has ended", extra={"error": repr(outcome.error)})

    for index, call in enumerate(calls):
        threading.Thread(target=make, args=(index, call), name="side by side", daemon=True).start()
    done: dict[int, Result | None] = {}
    try:
        while len(done) < len(calls):
            outcome = _next(outcomes, why_give_up)
            if outcome.error is not None:
                raise outcome.error
            done[outcome.index] = outcome.result
    except BaseException:
        with lock:
            is_over = True
        _undo(outcomes, done, on_late)
        raise
    return [done[index] for index in range(len(calls))]  # type: ignore[misc] - None only where calls return None


def _next(
    outcomes: "queue.SimpleQueue[_Outcome[Result]]", why_give_up: Callable[[], str | None]
) -> "_Outcome[Result]":
    while True:
        try:
            return outcomes.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            reason = why_give_up()
            if reason is not None:
                raise NodeUnreachableError(reason) from None


def _undo(
    outcomes: "queue.SimpleQueue[_Outcome[Result]]",
    done: dict[int, Result | None],
    on_late: Callable[[Result], None],
) -> None:
    """What has come already is in vain as well."""
    results = list(done.values())
    while not outcomes.empty():
        results.append(outcomes.get().result)
    for result in results:
        if result is not None:
            on_late(result)
