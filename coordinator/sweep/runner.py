"""Measures what is left of a sweep, run after run, in its order. Whatever ends it, what was recorded stays."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from coordinator.config.sweep import SweepConfig
from coordinator.errors import ResultStoreError, RunKnownError
from coordinator.results.ports import ResultStore
from coordinator.results.values import Case, Run, RunState, Sweep
from coordinator.sweep.agenda import Agenda, Verdict
from coordinator.sweep.trying import Attempt

WAITING_SECONDS = 1.0
"""Between looks at the store while others measure what is left."""
LEASE_FACTOR = 5.0
SHORTEST_LEASE_SECONDS = 120.0


class MeasuresCases(Protocol):
    """Measures a case once. What goes wrong in it is told in the attempt, not raised."""

    def __call__(self, case: Case) -> Attempt:
        """What came of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """How far a sweep is."""

    n_done: int
    n_left: int
    """At most: cases whose intervals become narrow get no further repeats."""
    left_seconds: float
    doing: str


OnStand = Callable[[Stand], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sweep came to."""

    n_cases: int
    n_done: int
    n_invalid: int
    n_failed: int
    """Both count attempts."""
    missing: tuple[str, ...]
    """Repeats that are planned and have no valid run, each with why the last attempt was none."""


class Runner:
    """Works on one sweep. Several may work on one, each with its own owner, on one store."""

    def __init__(
        self,
        sweep: Sweep,
        config: SweepConfig,
        store: ResultStore,
        *,
        owner: str,
        measure: MeasuresCases,
        expected_seconds: Mapping[str, float],
        on_stand: OnStand = lambda _stand: None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Measures nothing yet.

        Args:
            sweep: As it is in the store.
            config: How often, and how long.
            store: Takes the runs.
            owner: Claims runs; the same from start to start of one coordinator.
            measure: Measures a case once.
            expected_seconds: For a run of each case, by its key.
            on_stand: Told before each run, and at the end.
            wait: Passes time while others measure what is left.
        """
        self._sweep = sweep
        self._rule = config.repeats
        self._store = store
        self._owner = owner
        self._measure = measure
        self._expected = expected_seconds
        self._on_stand = on_stand
        self._wait = wait
        self._case_of = {case.key: case for case in sweep.cases}
        self._agenda = Agenda(sweep=sweep, rule=config.repeats)

    def run(self) -> Outcome:
        """Measures until nothing is left, waiting for what others have claimed.

        Raises:
            ResultStoreError: The store cannot be read or written.
            KeyboardInterrupt: Of the user; the claim on the run under way is given back.
        """
        self._refresh()
        while left := self._agenda.left():
            if not sum(self._visit(position) for position in left):
                self._tell("waiting for other coordinators")
                self._wait(WAITING_SECONDS)
                self._refresh()
        self._tell("done")
        return self._outcome()

    def _refresh(self) -> None:
        self._agenda.add(self._store.runs(self._sweep.name))

    def _visit(self, position: int) -> bool:
        """Measures one repeat, as far as it is to be measured and free; whether anything became known by that."""
        key, repeat = self._sweep.order[position]
        verdict = self._agenda.verdict(key, repeat)
        if verdict is not Verdict.WANTED:
            return verdict is not Verdict.UNDECIDED
        lease = max(SHORTEST_LEASE_SECONDS, LEASE_FACTOR * self._expected.get(key, 0.0))
        name = self._sweep.name
        for _ in range(self._rule.attempts):
            if not self._store.claim(name, key, repeat, owner=self._owner, lease_seconds=lease):
                return False
            try:
                self._attempt(position)
            finally:
                with suppress(ResultStoreError):
                    self._store.release(name, key, repeat, owner=self._owner)
            if (key, repeat) in self._agenda.done:
                return True
        self._agenda.given_up.add((key, repeat))
        return True

    def _attempt(self, position: int) -> None:
        key, repeat = self._sweep.order[position]
        case = self._case_of[key]
        self._tell(f"{case.model}, {case.condition}: {case.plan_label} (repeat {repeat + 1})")
        began_at, began = datetime.now(UTC), time.monotonic()
        attempt = self._measure(case)
        run = Run(
            sweep=self._sweep.name,
            case_key=key,
            repeat=repeat,
            attempt=self._agenda.attempts[key, repeat],
            position=position,
            state=attempt.state,
            reason=attempt.reason,
            began_at=began_at.isoformat(timespec="milliseconds"),
            seconds=time.monotonic() - began,
            coordinator=f"{socket.gethostname()}:{os.getpid()}",
            links=attempt.links,
            environment=attempt.environment,
            predicted_latency_seconds=attempt.predicted_latency_seconds,
            predicted_throughput_per_second=attempt.predicted_throughput_per_second,
            figures=attempt.figures,
            resources=attempt.resources,
            samples=attempt.samples,
        )
        try:
            self._store.record(run)
        except RunKnownError:
            self._refresh()  # the lease ran out, and another coordinator was quicker
        else:
            self._agenda.add([run])

    def _tell(self, doing: str) -> None:
        left = self._agenda.left()
        measured = self._agenda.mean_seconds()
        seconds = [
            measured.get(key) or self._expected.get(key, 0.0) for key, _ in map(self._sweep.order.__getitem__, left)
        ]
        total = sum(seconds)
        if self._rule.budget_seconds is not None:
            least = sum(
                each
                for each, position in zip(seconds, left, strict=True)
                if self._sweep.order[position][1] < self._sweep.n_repeats
            )
            total = min(total, max(least, self._rule.budget_seconds - self._agenda.spent_seconds))
        stand = Stand(n_done=len(self._agenda.done), n_left=len(left), left_seconds=total, doing=doing)
        self._on_stand(stand)

    def _outcome(self) -> Outcome:
        runs = self._store.runs(self._sweep.name)
        states = [run.state for run in runs]
        return Outcome(
            n_cases=len(self._sweep.cases),
            n_done=states.count("done"),
            n_invalid=states.count("invalid"),
            n_failed=states.count("failed"),
            missing=tuple(self._missing(runs)),
        )

    def _missing(self, runs: Sequence[Run]) -> list[str]:
        last = {(run.case_key, run.repeat): run for run in runs}
        found = []
        for key, repeat in sorted(self._agenda.given_up, key=self._sweep.order.index):
            case, run = self._case_of[key], last[key, repeat]
            state: RunState = run.state
            found.append(
                f"{case.model}, {case.condition}: {case.plan_label}, repeat {repeat + 1}: {state}: {run.reason}"
            )
        return found
