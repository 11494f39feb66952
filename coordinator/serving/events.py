"""What happened to a service: every failure, re-plan and switch, with time, cause and duration."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

NODE_LOST = "node-lost"
NODE_BACK = "node-back"
NODE_RESTARTED = "node-restarted"
LINE_BROKEN = "line-broken"
WRONG_OUTPUTS = "wrong-outputs"
DEPLOYED = "deployed"
ADOPTED = "adopted"
REPLANNED = "replanned"
ATTEMPT_FAILED = "attempt-failed"
RECOVERED = "recovered"
SWITCHED = "switched"
SWITCH_FAILED = "switch-failed"
REQUEST_FAILED = "request-failed"
WAITING = "waiting"
GIVEN_UP = "given-up"
KINDS = (
    NODE_LOST,
    NODE_BACK,
    NODE_RESTARTED,
    LINE_BROKEN,
    WRONG_OUTPUTS,
    DEPLOYED,
    ADOPTED,
    REPLANNED,
    ATTEMPT_FAILED,
    RECOVERED,
    SWITCHED,
    SWITCH_FAILED,
    REQUEST_FAILED,
    WAITING,
    GIVEN_UP,
)
"""In the order in which a reader meets them."""

FAULTS = frozenset({NODE_LOST, NODE_RESTARTED, LINE_BROKEN, WRONG_OUTPUTS, SWITCH_FAILED, REQUEST_FAILED, GIVEN_UP})
"""Those that are logged as warnings."""

_logger = logging.getLogger(__name__)
_logger.addHandler(logging.NullHandler())  # without a log of the program: who wants events on a terminal listens


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    kind: str
    """One of `KINDS`."""
    at: float
    """When it was over, or was noticed: seconds since 1970."""
    since_start_seconds: float
    """The same since the service started."""
    duration_seconds: float = 0.0
    """How long it took: of a loss, from the last sign of life until it was noticed; of a recovery, from then until the
    next plan served; of a switch, from the wish. 0 where it took no time."""
    node: str = ""
    cause: str = ""
    plan: str = ""
    """That serves from now on, or was tried."""
    epoch: int = 0
    """Of that plan."""

    def describe(self) -> str:
        """One line for people: `12.3 s  node-lost pi-2: no answer for 3.1 s`."""
        took = f" in {self.duration_seconds:.2f} s" if self.duration_seconds else ""
        words = [f"{self.since_start_seconds:8.2f} s  {self.kind}", f" {self.node}" if self.node else "", took]
        if self.plan:
            words.append(f": {self.plan} (epoch {self.epoch})")
        if self.cause:
            words.append(f": {self.cause}")
        return "".join(words)

    def to_json(self) -> str:
        """One line for a script."""
        return json.dumps(asdict(self), ensure_ascii=False)


Listener = Callable[[Event], None]


class EventLog:
    """Keeps the events of one service, writes them to the log, and tells listeners. Thread-safe."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Begins at the moment `clock` shows now."""
        self._clock = clock
        self._wall_clock = wall_clock
        self._started_at = clock()
        self._turn = threading.RLock()
        """Of one event at a time, from its moment until all listeners were told, so that all see the same order."""
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._listeners: list[Listener] = []

    @property
    def events(self) -> tuple[Event, ...]:
        """All so far, in their order."""
        with self._lock:
            return tuple(self._events)

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with each later event, by the thread that it happens in; it must not wait.

        One that raises hears no more: what is told of goes on without it.
        """
        with self._lock:
            self._listeners.append(listener)

    def tell(
        self,
        kind: str,
        *,
        node: str = "",
        cause: str = "",
        plan: str = "",
        epoch: int = 0,
        duration_seconds: float = 0.0,
    ) -> Event:
        """Takes note of what happened now."""
        with self._turn:
            event = Event(
                kind=kind,
                at=self._wall_clock(),
                since_start_seconds=self._clock() - self._started_at,
                duration_seconds=duration_seconds,
                node=node,
                cause=cause,
                plan=plan,
                epoch=epoch,
            )
            with self._lock:
                self._events.append(event)
                listeners = tuple(self._listeners)
            _logger.log(logging.WARNING if kind in FAULTS else logging.INFO, event.describe())
            for listener in listeners:
                self._inform(listener, event)
        return event

    def _inform(self, listener: Listener, event: Event) -> None:
        try:
            listener(event)
        except (Exception, SystemExit):  # rich exits where nobody reads what it prints
            _logger.warning("a listener of events failed, and is told of no more", exc_info=True)
            with self._lock:
                self._listeners.remove(listener)
