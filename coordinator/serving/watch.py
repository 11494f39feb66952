"""The heartbeats: one thread for each node asks it how it is, and says when it is lost or back."""

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from coordinator.serving.pulse import Pulse, Turn
from node_agent.errors import NodeError

_JOIN_SECONDS = 3.0


class Heart(Protocol):
    """Asks one node how it is."""

    def beat(self) -> str:
        """Name of the process that answers; also renews the leases of what is served.

        Raises:
            NodeError: Nobody answered in time.
        """
        ...

    def close(self) -> None:
        """Ends a beat in progress, and all later ones."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """What the watch knows of a node."""

    is_alive: bool
    instance: str
    """Of its process; empty until it first answered."""
    answering_since: float
    """When it began to answer every beat, by the watch's clock; infinite while it misses them."""
    reason: str
    """Why it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A node was lost, or came back."""

    node: str
    turn: Turn
    seconds: float
    """How long nothing was heard of it."""
    reason: str


class Watch:
    """Beats every node until it is closed. Thread-safe."""

    def __init__(
        self,
        hearts: dict[str, Heart],
        on_sign: Callable[[Sign], None],
        *,
        prepare: Callable[[str], None] = lambda _node: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with `start`; all nodes live until the contrary is known.

        Args:
            hearts: Of each node. They belong to the watch from now on.
            on_sign: Told by the node's thread; must not wait for the watch.
            prepare: Called before a node counts as back, or as another process; by a NodeError the beat is missed.
            clock: Seconds, never going back.
        """
        self._hearts = hearts
        self._on_sign = on_sign
        self._prepare = prepare
        self._clock = clock
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._pokes = {name: threading.Event() for name in hearts}
        now = clock()
        self._pulses = {name: Pulse(last_heard_at=now, answering_since=now) for name in hearts}
        self._threads = [
            threading.Thread(target=self._follow, args=(name,), name=f"beat {name}", daemon=True) for name in hearts
        ]

    def start(self) -> None:
        """Begins to beat."""
        for thread in self._threads:
            thread.start()

    def vital(self, node: str) -> Vital:
        """What is known of a node."""
        with self._changed:
            pulse = self._pulses[node]
            return Vital(
                is_alive=pulse.is_alive,
                instance=pulse.instance,
                answering_since=pulse.answering_since,
                reason=pulse.reason,
            )

    @property
    def alive(self) -> frozenset[str]:
        """Nodes that are not lost."""
        with self._changed:
            return frozenset(name for name, pulse in self._pulses.items() if pulse.is_alive)

    def confirm(self, nodes: Iterable[str], seconds: float) -> frozenset[str]:
        """Those of `nodes` that answer a beat that begins now, within so many seconds."""
        asked = self._clock()
        wanted = set(nodes)
        for name in wanted:
            self._pokes[name].set()

        def heard() -> set[str]:
            return {name for name in wanted if self._pulses[name].asked_at >= asked}

        def is_clear() -> bool:
            return all(name in heard() or not self._pulses[name].is_alive for name in wanted)

        with self._changed:
            self._changed.wait_for(lambda: is_clear() or self._stopping.is_set(), seconds)
            return frozenset(name for name in heard() if self._pulses[name].is_alive)

    def wait_for_change(self, alive: Collection[str], seconds: float) -> bool:
        """Waits until other nodes than `alive` are alive; whether they are."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping.is_set() or {n for n, p in self._pulses.items() if p.is_alive} != set(alive),
                seconds,
            )
            return {name for name, pulse in self._pulses.items() if pulse.is_alive} != set(alive)

    def close(self) -> None:
        """Ends all beats."""
        self._stopping.set()
        for name, heart in self._hearts.items():
            self._pokes[name].set()
            heart.close()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def _follow(self, name: str) -> None:
        while not self._stopping.is_set():
            self._beat(name)
            if self._pokes[name].wait(self._pulses[name].pause_seconds):
                self._pokes[name].clear()

    def _beat(self, name: str) -> None:
        pulse = self._pulses[name]
        began = self._clock()
        try:
            instance = self._hearts[name].beat()
            if not pulse.is_alive or pulse.is_other(instance):
                self._prepare(name)
        except NodeError as error:
            self._missed(name, began, str(error))
            return
        with self._changed:
            seconds = pulse.silence(self._clock())
            turn = pulse.hear(began, self._clock(), instance)
            self._changed.notify_all()
        if turn is not None:
            self._on_sign(Sign(node=name, turn=turn, seconds=seconds, reason=""))

    def _missed(self, name: str, began: float, error: str) -> None:
        if self._stopping.is_set():
            return
        pulse = self._pulses[name]
        with self._changed:
            turn = pulse.miss(began, self._clock(), error)
            self._changed.notify_all()
        if turn is not None:
            self._on_sign(Sign(node=name, turn=turn, seconds=pulse.silence(self._clock()), reason=pulse.reason))
