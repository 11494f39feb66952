"""The second of two sides over the first, case by case. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import geometric_mean
from typing import Literal

from coordinator.measurement import Estimate
from coordinator.report.compare.sides import FACETS, Side, Subject
from coordinator.sweep.words import comparison_sentence
from partitioner.decisions.pairs import LEVEL, PairedComparison, adjusted_p_values, compare_pairs

Objective = Literal["latency", "throughput"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput")
MANY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure of the second over that of the first."""

    first: float
    second: float
    value: float
    low: float
    """95 % interval; without a width where a single pair shows none."""
    high: float
    n_pairs: int
    """0 where both were measured once, and the interval is made of theirs."""
    p_value: float | None
    """Adjusted for all comparisons of this figure; None where so few pairs could show nothing, so adjusted."""

    @property
    def differs(self) -> bool | None:
        """Whether more than chance; None where this cannot be told."""
        if self.n_pairs == 0:
            return not self.low <= 1 <= self.high
        return None if self.p_value is None else self.p_value <= LEVEL

    @property
    def is_apart(self) -> bool:
        """Whether the interval, which knows nothing of the other cases, leaves equality out."""
        return self.n_pairs != 1 and not self.low <= 1 <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A case that both sides have."""

    facets: tuple[str, ...]
    """Of the second side."""
    ratios: Mapping[Objective, Ratio]

    @property
    def size(self) -> float:
        """How much the two differ: the larger logarithm of its ratios."""
        return max((abs(log(ratio.value)) for ratio in self.ratios.values()), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides."""

    first: str
    second: str
    rows: tuple[Row, ...]
    """In the order of the second side."""
    only_first: tuple[tuple[str, ...], ...]
    """Facets of cases that the second lacks, or has no figures of."""
    only_second: tuple[tuple[str, ...], ...]
    opposed: Mapping[str, tuple[str, str]]
    """Facets in which each side has one value, and not the same: that is what is compared, and what pairs ignore."""
    sentences: tuple[str, ...]
    """What it comes to over all cases."""

    @property
    def shown(self) -> tuple[int, ...]:
        """Facets that differ between cases, as places in `FACETS`."""
        return tuple(place for place in range(len(FACETS)) if len({row.facets[place] for row in self.rows}) > 1)


def compare_sides(first: Side, second: Side) -> Comparison:
    """Pairs what is the same on both sides."""
    opposed = _opposed(first, second)
    kept = [place for place, name in enumerate(FACETS) if name not in opposed]
    found = {_kept(subject, kept): subject for subject in first.subjects}
    pairs = [(found.get(_kept(subject, kept)), subject) for subject in second.subjects]
    told = [(one, other) for one, other in pairs if one is not None and _has_common(one, other)]
    ratios: dict[Objective, list[Ratio | None]] = {name: _ratios(told, name) for name in OBJECTIVES}
    both = {_kept(other, kept) for _, other in told}
    return Comparison(
        first=first.name,
        second=second.name,
        rows=tuple(
            Row(
                facets=other.facets,
                ratios={name: ratio for name in OBJECTIVES if (ratio := ratios[name][place]) is not None},
            )
            for place, (_, other) in enumerate(told)
        ),
        only_first=tuple(one.facets for one in first.subjects if _kept(one, kept) not in both),
        only_second=tuple(one.facets for one in second.subjects if _kept(one, kept) not in both),
        opposed=opposed,
        sentences=tuple(_sentences(first.name, second.name, ratios)),
    )


def _opposed(first: Side, second: Side) -> dict[str, tuple[str, str]]:
    found = {}
    for place, name in enumerate(FACETS[:-2]):  # plans and conditions are what is paired
        one, other = ({subject.facets[place] for subject in side.subjects} for side in (first, second))
        if len(one) == len(other) == 1 and one != other:
            found[name] = (next(iter(one)), next(iter(other)))
    return found


def _kept(subject: Subject, kept: Sequence[int]) -> tuple[str, ...]:
    return tuple(subject.facets[place] for place in kept)


def _by_repeat(subject: Subject, objective: Objective) -> Mapping[int, float]:
    return subject.latency_by_repeat if objective == "latency" else subject.throughput_by_repeat


def _once(subject: Subject, objective: Objective) -> Estimate | None:
    return subject.latency if objective == "latency" else subject.throughput


def _has_common(one: Subject, other: Subject) -> bool:
    return any(
        _by_repeat(one, name).keys() & _by_repeat(other, name).keys() or (_once(one, name) and _once(other, name))
        for name in OBJECTIVES
    )


def _ratios(pairs: Sequence[tuple[Subject, Subject]], objective: Objective) -> list[Ratio | None]:
    found: list[tuple[PairedComparison, float, float] | Ratio | None] = []
    for one, other in pairs:
        first, second = _by_repeat(one, objective), _by_repeat(other, objective)
        repeats = sorted(first.keys() & second.keys())
        if repeats:
            figures = [first[repeat] for repeat in repeats], [second[repeat] for repeat in repeats]
            found.append((compare_pairs(*figures), geometric_mean(figures[0]), geometric_mean(figures[1])))
        else:
            found.append(_of_intervals(_once(one, objective), _once(other, objective)))
    paired = [entry[0] for entry in found if isinstance(entry, tuple)]
    testable = [one.p_value for one in paired if _can_show(one, len(paired))]
    adjusted = iter(adjusted_p_values(testable))
    return [_paired(*entry, len(paired), adjusted) if isinstance(entry, tuple) else entry for entry in found]


def _can_show(found: PairedComparison, n_comparisons: int) -> bool:
    """Whether there are pairs enough for a difference to be significant among so many comparisons."""
    return found.least_p_value * n_comparisons <= LEVEL


def _paired(
    found: PairedComparison, first: float, second: float, n_comparisons: int, adjusted: Iterator[float]
) -> Ratio:
    return Ratio(
        first=first,
        second=second,
        value=found.ratio,
        low=found.low,
        high=found.high,
        n_pairs=found.n_pairs,
        p_value=next(adjusted) if _can_show(found, n_comparisons) else None,
    )


def _of_intervals(one: Estimate | None, other: Estimate | None) -> Ratio | None:
    """From two intervals of one measurement each: as wide as both allow."""
    if one is None or other is None or min(one.low, other.low) <= 0:
        return None
    return Ratio(
        first=one.value,
        second=other.value,
        value=other.value / one.value,
        low=other.low / one.high,
        high=other.high / one.low,
        n_pairs=0,
        p_value=None,
    )


def _sentences(first: str, second: str, ratios: Mapping[Objective, Sequence[Ratio | None]]) -> Iterator[str]:
    """Over all cases, each counted as one pair."""
    for objective in OBJECTIVES:
        told = [ratio for ratio in ratios[objective] if ratio is not None]
        if len(told) >= MANY:
            over_all = compare_pairs([ratio.first for ratio in told], [ratio.second for ratio in told])
            yield comparison_sentence(first, second, objective, over_all)
