"""Picks one plan of a front by a wish in words."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from partitioner.errors import ChoiceError
from partitioner.front import knee_index
from partitioner.plan import Candidate

FORMS = (
    "`knee`, `latency` (least), `throughput` (most), an index such as `3` (0 has the least latency), "
    "`latency<=50ms` (s, ms or us; of those within, the most throughput), "
    "`throughput>=20` (samples per second; of those within, the least latency), or several joined by commas"
)
SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}

_NUMBER = r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)"
_LATENCY_BOUND = re.compile(rf"latency\s*<=\s*{_NUMBER}\s*(?P<unit>s|ms|us|µs|μs)", re.IGNORECASE)
_THROUGHPUT_BOUND = re.compile(rf"throughput\s*>=\s*{_NUMBER}\s*(?:/s)?", re.IGNORECASE)

Pick = Callable[[Sequence[Candidate]], Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """One inequality."""

    text: str
    holds: Callable[[Candidate], bool]
    pick: Pick
    """Among those within, where nothing else is wished."""


def choose(front: Sequence[Candidate], wish: str) -> Candidate:
    """The candidate of a front that answers a wish.

    Bounds keep those within; then a word picks. Without a word one kind of bound picks by the other objective, and
    bounds of both kinds leave the pick to the knee.

    Args:
        front: Non-dominated candidates, least latency first.
        wish: See `FORMS`.

    Raises:
        ChoiceError: The wish cannot be read, or no candidate answers it; says what there is.
    """
    if not front:
        raise ChoiceError("There is nothing to choose from: the front is empty.")
    terms = [term.strip() for term in wish.split(",")]
    if len(terms) == 1 and re.fullmatch(r"\d+", terms[0]):
        return _by_index(front, int(terms[0]))
    words = [term.lower() for term in terms if term.lower() in _PICKS]
    bounds = [_parse_bound(term, wish) for term in terms if term.lower() not in _PICKS]
    if len(words) > 1:
        raise ChoiceError(f"Wish {wish!r} names {len(words)} aims, {' and '.join(words)}: give one.")
    within = [candidate for candidate in front if all(bound.holds(candidate) for bound in bounds)]
    if not within:
        raise ChoiceError(f"No plan of the front has {' and '.join(bound.text for bound in bounds)}: {_extent(front)}.")
    return (_PICKS[words[0]] if words else _pick_of(bounds))(within)


def least_latency(front: Sequence[Candidate]) -> Candidate:
    """The candidate of least latency; of equals the one of most throughput."""
    return min(front, key=lambda candidate: (candidate.cost.latency_seconds, -candidate.cost.throughput_per_second))


def most_throughput(front: Sequence[Candidate]) -> Candidate:
    """The candidate of most throughput; of equals the one of least latency."""
    return max(front, key=lambda candidate: (candidate.cost.throughput_per_second, -candidate.cost.latency_seconds))


def knee(front: Sequence[Candidate]) -> Candidate:
    """The candidate where the front bends most; see `front.knee_index`."""
    points = [(candidate.cost.latency_seconds, candidate.cost.bottleneck_seconds) for candidate in front]
    return front[knee_index(points)]


_PICKS: dict[str, Pick] = {"knee": knee, "latency": least_latency, "throughput": most_throughput}


def _pick_of(bounds: Sequence[_Bound]) -> Pick:
    picks = {bound.pick for bound in bounds}
    return picks.pop() if len(picks) == 1 else knee


def _by_index(front: Sequence[Candidate], index: int) -> Candidate:
    if index >= len(front):
        raise ChoiceError(f"The front has no plan {index}: it has {len(front)}, 0 … {len(front) - 1}.")
    return front[index]


def _parse_bound(term: str, wish: str) -> _Bound:
    if match := _LATENCY_BOUND.fullmatch(term):
        most = float(match["number"]) * SECONDS_PER_UNIT[match["unit"].lower()]
        return _Bound(
            text=f"latency <= {match['number']} {match['unit']}",
            holds=lambda candidate: candidate.cost.latency_seconds <= most,
            pick=most_throughput,
        )
    if match := _THROUGHPUT_BOUND.fullmatch(term):
        least = float(match["number"])
        return _Bound(
            text=f"throughput >= {match['number']}/s",
            holds=lambda candidate: candidate.cost.throughput_per_second >= least,
            pick=least_latency,
        )
    raise ChoiceError(f"Wish {wish!r} cannot be read at {term!r}: wanted {FORMS}.")


def _extent(front: Sequence[Candidate]) -> str:
    fastest, widest = least_latency(front), most_throughput(front)
    return (
        f"the least latency is {_seconds_text(fastest.cost.latency_seconds)} ({fastest.plan.describe()}), "
        f"the most throughput {widest.cost.throughput_per_second:.4g}/s ({widest.plan.describe()})"
    )


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.4g} s" if seconds >= 1 else f"{seconds * 1e3:.4g} ms"
