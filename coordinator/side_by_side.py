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
class _Done(Generic[Result]):
    index: int
    result: Result


class _Round(Generic[Result]):
    """What comes of one set of calls, for as long as somebody waits for it."""

    def __init__(self, on_late: Callable[[Result], object]) -> None:
        self._on_late = on_late
        self._lock = threading.Lock()
        self._is_over = False
        self._outcomes: queue.SimpleQueue[_Done[Result] | BaseException] = queue.SimpleQueue()

    def make(self, index: int, call: Callable[[], Result]) -> None:
        """Makes one call; by its thread."""
        outcome: _Done[Result] | BaseException
        try:
            outcome = _Done(index, call())
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            outcome = error
        with self._lock:
            if not self._is_over:
                self._outcomes.put(outcome)
                return
        self._undo(outcome)

    def next(self, why_give_up: Callable[[], str | None]) -> _Done[Result]:
        """Waits for the next call to end, and raises what it raised."""
        while True:
            try:
                outcome = self._outcomes.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                reason = why_give_up()
                if reason is not None:
                    raise NodeUnreachableError(reason) from None
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    def end(self) -> None:
        """Nobody waits any more: what came, or will come, is undone."""
        with self._lock:
            self._is_over = True
        while not self._outcomes.empty():
            self._undo(self._outcomes.get())

    def _undo(self, outcome: _Done[Result] | BaseException) -> None:
        _logger.info("a call that was given up has ended", extra={"outcome": repr(outcome)})
        if isinstance(outcome, _Done):
            self._on_late(outcome.result)


def run_side_by_side(
    calls: Sequence[Callable[[], Result]],
    *,
    why_give_up: Callable[[], str | None] = lambda: None,
    on_late: Callable[[Result], object] = lambda _result: None,
) -> list[Result]:
    """Results of all calls, each made by a thread of its own. The first error ends the wait.

    Args:
        calls: To be made at once.
        why_give_up: Looked at while waiting; a reason ends the wait.
        on_late: Given what a call returns that nobody waits for any more, to be undone; by the call's thread.

    Raises:
        NodeUnreachableError: There was a reason to give up; the message is the reason.
        BaseException: What the first call raised that failed.
    """
    outcomes = _Round(on_late)
    for index, call in enumerate(calls):
        threading.Thread(target=outcomes.make, args=(index, call), name="side by side", daemon=True).start()
    results: dict[int, Result] = {}
    try:
        while len(results) < len(calls):
            done = outcomes.next(why_give_up)
            results[done.index] = done.result
    except BaseException:
        outcomes.end()
        for result in results.values():
            on_late(result)
        raise
    return [results[index] for index in range(len(calls))]
