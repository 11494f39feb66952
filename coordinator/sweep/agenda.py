"""What is left to be measured of a sweep. Pure: decides from the runs that are recorded, so that it can be taken up."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from coordinator.config.sweep import RepeatsConfig
from coordinator.results.values import Run, Sweep
from coordinator.statistics import mean_estimate

JUDGED = ("latency_seconds", "throughput_per_second")
"""Figures whose intervals decide whether a case needs further repeats."""


class Verdict(Enum):
    """What is to become of a repeat of a case."""

    DONE = "done"
    WANTED = "wanted"
    UNDECIDED = "undecided"
    """It depends on earlier repeats, which another coordinator is measuring."""
    ENOUGH = "enough"
    """The case's intervals are narrow enough, or the budget is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """How far a case has come."""

    n_settled: int
    """Repeats, from the first on without a gap, that are done or given up."""
    is_enough: bool
    """Whether it needs none beyond them."""


@dataclass(kw_only=True)
class Agenda:
    """Runs of a sweep, and what follows from them. Not thread-safe."""

    sweep: Sweep
    rule: RepeatsConfig
    done: dict[tuple[str, int], Run] = field(default_factory=dict)
    attempts: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Recorded, of each repeat."""
    given_up: set[tuple[str, int]] = field(default_factory=set)
    """Repeats that are not tried again for now."""
    spent_seconds: float = 0.0
    _figures: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))

    def add(self, runs: Iterable[Run]) -> None:
        """Takes recorded runs in; those that are known already are left as they are."""
        for run in runs:
            key = (run.case_key, run.repeat)
            if run.attempt < self.attempts[key]:
                continue
            self.attempts[key] = run.attempt + 1
            self.spent_seconds += run.seconds
            if run.state == "done" and key not in self.done:
                self.done[key] = run
                self._figures[run.case_key].append(run)

    def verdict(self, case_key: str, repeat: int) -> Verdict:
        """What is to become of a repeat."""
        return self._verdict(case_key, repeat, self._standing(case_key))

    def _verdict(self, case_key: str, repeat: int, standing: _Standing) -> Verdict:
        if (case_key, repeat) in self.done:
            return Verdict.DONE
        if repeat < self.sweep.n_repeats:
            return Verdict.WANTED
        if standing.is_enough:
            return Verdict.ENOUGH
        return Verdict.WANTED if repeat <= standing.n_settled else Verdict.UNDECIDED

    def _standing(self, case_key: str) -> _Standing:
        n_settled = 0
        while (case_key, n_settled) in self.done or (case_key, n_settled) in self.given_up:
            n_settled += 1
        is_spent = self.rule.budget_seconds is not None and self.spent_seconds >= self.rule.budget_seconds
        has_least = n_settled >= self.sweep.n_repeats
        return _Standing(n_settled=n_settled, is_enough=has_least and (is_spent or self.is_narrow(case_key)))

    def is_narrow(self, case_key: str) -> bool:
        """Whether half the 95 % interval over a case's runs is narrow enough, for each figure that it has."""
        if self.rule.interval is None:
            return False
        runs = self._figures[case_key]
        return len(runs) > 1 and all(width <= self.rule.interval for width in self.widths(runs).values())

    @staticmethod
    def widths(runs: Iterable[Run]) -> Mapping[str, float]:
        """Half the interval over the mean, of each judged figure that all runs have."""
        figures = [run.figures for run in runs]
        found = {}
        for name in JUDGED:
            values = [each[name] for each in figures if name in each]
            if len(values) == len(figures) and values:
                estimate = mean_estimate(values)
                found[name] = (estimate.high - estimate.value) / abs(estimate.value) if estimate.value else 0.0
        return found

    def left(self) -> list[int]:
        """Positions of the order that may still be measured, in that order."""
        settled = (Verdict.DONE, Verdict.ENOUGH)
        standings = {case.key: self._standing(case.key) for case in self.sweep.cases}
        return [
            position
            for position, (key, repeat) in enumerate(self.sweep.order)
            if (key, repeat) not in self.given_up and self._verdict(key, repeat, standings[key]) not in settled
        ]

    def mean_seconds(self) -> Mapping[str, float]:
        """What a run of each case took, on average over its recorded runs."""
        return {key: sum(run.seconds for run in runs) / len(runs) for key, runs in self._figures.items() if runs}
