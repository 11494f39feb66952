"""Picks one plan of a front by a wish in words."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from partitioner.bounds import EXAMPLES, FIELDS, THROUGHPUT, Bound, read_bound, seconds_text
from partitioner.errors import ChoiceError
from partitioner.front import knee_index
from partitioner.plan import Candidate

KNEE = "knee"
FORMS = (
    "`knee`, `latency` (least), `throughput` (most), `memory`, `energy`, `wire` or `error` (least), an index such as "
    f"`3` (0 comes first on the front), bounds such as {EXAMPLES}, or several joined by commas"
)

Pick = Callable[[Sequence[Candidate]], Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    index: int | None = None
    words: tuple[str, ...] = ()
    """At most one."""
    bounds: tuple[Bound, ...] = ()


def check_wish(wish: str) -> None:
    """Does nothing where a wish can be read; whether a front answers it, `choose` tells.

    Raises:
        ChoiceError: It cannot be read.
    """
    _read_wish(wish)


def choose(front: Sequence[Candidate], wish: str, objectives: Sequence[str] | None = None) -> Candidate:
    """The candidate of a front that answers a wish.

    Bounds keep those within; then a word picks. Without a word a bound of latency alone picks the most throughput, any
    other one the least latency; bounds of both leave the pick to the knee.

    Args:
        front: Non-dominated candidates, least in the first objective first.
        wish: See `FORMS`.
        objectives: Fields of a `CostEstimate` that the knee looks at; latency and bottleneck where it is None.

    Raises:
        ChoiceError: The wish cannot be read, or no candidate answers it; says what there is.
    """
    if not front:
        raise ChoiceError("There is nothing to choose from: the front is empty.")
    read = _read_wish(wish)
    if read.index is not None:
        return _by_index(front, read.index)
    within = [candidate for candidate in front if all(bound.holds(candidate.cost) for bound in read.bounds)]
    if not within:
        wanted = " and ".join(bound.text for bound in read.bounds)
        raise ChoiceError(f"No plan of the front has {wanted}: {_extent(front)}.")
    [word] = read.words or [_word_of(read.bounds)]
    return knee(within, objectives) if word == KNEE else _PICKS[word](within)


def least_latency(front: Sequence[Candidate]) -> Candidate:
    """The candidate of least latency; of equals the one of most throughput."""
    return min(front, key=lambda candidate: (candidate.cost.latency_seconds, -candidate.cost.throughput_per_second))


def most_throughput(front: Sequence[Candidate]) -> Candidate:
    """The candidate of most throughput; of equals the one of least latency."""
    return max(front, key=lambda candidate: (candidate.cost.throughput_per_second, -candidate.cost.latency_seconds))


def least(word: str) -> Pick:
    """Picks the candidate with the least of something; of equals the one of least latency.

    Raises:
        ChoiceError: By the pick, where no candidate has such a figure.
    """
    field = FIELDS[word][0]

    def pick(front: Sequence[Candidate]) -> Candidate:
        known = [candidate for candidate in front if getattr(candidate.cost, field) is not None]
        if not known:
            raise ChoiceError(f"No plan of the front has a known {word}: give the devices what it is computed from.")
        return min(known, key=lambda candidate: (getattr(candidate.cost, field), candidate.cost.latency_seconds))

    return pick


def knee(front: Sequence[Candidate], objectives: Sequence[str] | None = None) -> Candidate:
    """The candidate where the front bends most; see `front.knee_index`."""
    fields = objectives or ("latency_seconds", "bottleneck_seconds")
    return front[knee_index([[getattr(candidate.cost, field) for field in fields] for candidate in front])]


_PICKS: dict[str, Pick] = {
    "latency": least_latency,
    THROUGHPUT: most_throughput,
    **{word: least(word) for word in FIELDS if word not in ("latency", THROUGHPUT)},
}


def _read_wish(wish: str) -> _Wish:
    terms = [term.strip() for term in wish.split(",")]
    if len(terms) == 1 and re.fullmatch(r"\d+", terms[0]):
        return _Wish(index=int(terms[0]))
    words = tuple(term.lower() for term in terms if term.lower() in (KNEE, *_PICKS))
    bounds = tuple(_parse_bound(term, wish) for term in terms if term.lower() not in words)
    if len(words) > 1:
        raise ChoiceError(f"Wish {wish!r} names {len(words)} aims, {' and '.join(words)}: give one.")
    return _Wish(words=words, bounds=bounds)


def _word_of(bounds: Sequence[Bound]) -> str:
    bounded = {bound.word for bound in bounds}
    if {"latency", THROUGHPUT} <= bounded:
        return KNEE
    return THROUGHPUT if "latency" in bounded else "latency"


def _by_index(front: Sequence[Candidate], index: int) -> Candidate:
    if index >= len(front):
        raise ChoiceError(f"The front has no plan {index}: it has {len(front)}, 0 … {len(front) - 1}.")
    return front[index]


def _parse_bound(term: str, wish: str) -> Bound:
    bound = read_bound(term)
    if bound is None:
        raise ChoiceError(f"Wish {wish!r} cannot be read at {term!r}: wanted {FORMS}.")
    return bound


def _extent(front: Sequence[Candidate]) -> str:
    fastest, widest = least_latency(front), most_throughput(front)
    return (
        f"the least latency is {seconds_text(fastest.cost.latency_seconds)} ({fastest.plan.describe()}), "
        f"the most throughput {widest.cost.throughput_per_second:.4g}/s ({widest.plan.describe()})"
    )
