"""Options of the search, gathered into one wish for the command."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from coordinator.cli.options import Function, together


class WordsType(click.ParamType[tuple[str, ...]]):
    """Words between commas."""

    name = "WORDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Splits at commas."""
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip().lower() for word in str(value).split(","))
        if not all(words):
            self.fail(f"{value!r} has an empty word between its commas.", param, ctx)
        return words


class NumbersType(click.ParamType[tuple[int, ...]]):
    """Whole numbers of 1 and more between commas."""

    name = "NUMBERS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Splits at commas."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isdecimal() and int(word) >= 1 for word in words):
            self.fail(f"{value!r} is not whole numbers of 1 and more between commas, as in 1,2,4.", param, ctx)
        return tuple(map(int, words))


_questions = together(
    click.option(
        "--objectives",
        type=WordsType(),
        default="latency,throughput",
        show_default=True,
        help="Two or more of latency, throughput, memory, energy, wire (bytes sent), error (of outputs, by codecs).",
    ),
    click.option(
        "--within",
        multiple=True,
        metavar="BOUND",
        help="Only plans within a bound, such as 'latency<=50ms', 'memory<=512MiB' or 'error<=1%'; may be repeated.",
    ),
    click.option(
        "--codecs",
        type=WordsType(),
        help="Codecs that boundaries may be sent in, such as float16,zstd, or all that were measured.  [default: none]",
    ),
    click.option(
        "--replicas",
        "max_replicas",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Most nodes of one kind that bear one stage in turn; they count as the slowest of them.",
    ),
    click.option(
        "--windows",
        type=NumbersType(),
        help="Most requests in flight, to be compared, such as 1,2,4; small ones save memory.  "
        "[default: what suits each plan]",
    ),
)

_constraints = together(
    click.option("--pin-first", "pinned_first", metavar="NODE", help="The first stage must run there."),
    click.option("--pin-last", "pinned_last", metavar="NODE", help="The last stage must run there."),
    click.option("--max-stages", type=click.IntRange(min=1), help="At most so many stages."),
    click.option(
        "--search-seconds",
        "budget_seconds",
        type=click.FloatRange(min=0.1),
        help="Budget of the search; it then gives what it has, and says so.",
    ),
)

_engines = together(
    click.option(
        "--engine",
        help="exact (latency and throughput), labels (any objectives), exhaustive (small cases), nsga2, nsga3, or a "
        "baseline: minimum_cut, nsga2_random_key.  [default: exact or labels, as the problem wants]",
    ),
    click.option(
        "--accuracy",
        type=click.FloatRange(min=0, max=1),
        default=0.0,
        show_default=True,
        help="Engine labels may leave out plans that others come so near to in every objective; 0.001 is much faster.",
    ),
    click.option(
        "--checkpoint",
        type=click.Path(path_type=Path, dir_okay=False),
        help="File in which nsga2 or nsga3 keeps its state, and from which it goes on.",
    ),
)


def _as_wish(options: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Adds options that are named as fields of a `SearchWish`; the command gets one as `search`.

    Wants `seed_option` beside it, which the command gets as well.
    """

    def decorate(function: Function) -> Function:
        command: Callable[..., Any] = function

        @wraps(function)
        def gathered(*args: Any, **given: Any) -> Any:
            from coordinator.wishes import SearchWish  # noqa: PLC0415 - `--help` answers at once: it imports late

            fields = SearchWish.__dataclass_fields__.keys() & given.keys() - {"seed"}
            wished = {name: given.pop(name) for name in fields}
            known = {name: value for name, value in wished.items() if value is not None}
            return command(*args, search=SearchWish(seed=given["seed"], **known), **given)

        found: Function = options(gathered)
        return found

    return decorate


constraint_options = _as_wish(_constraints)
"""What any search may be held to."""
search_options = _as_wish(together(_questions, _constraints, _engines))
"""Everything that `splitfront search` may be asked."""
