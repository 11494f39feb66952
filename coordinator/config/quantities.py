"""Quantities as people write them in `cluster.yaml`: `512MiB`, `5ms`, `50mbit`, `0.1%`. Inside, all is SI.

A number without a unit is refused: 512 may be bytes or mebibytes, and a cluster that is wrong by 2^20 still runs.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    """One kind of quantity and its units."""

    kind: str
    """With its article: `a rate`."""
    units: Mapping[str, float]
    """What one of each unit is in SI."""
    examples: tuple[str, str]
    zero: bool = False
    """Whether a plain 0 is allowed."""
    words: Mapping[str, float] = field(default_factory=dict)
    """Texts without a number."""

    def parse(self, value: object) -> float:
        """The quantity that `value` names, in SI.

        Raises:
            ValueError: `value` is not one; the message says how to write it.
        """
        if self.zero and value in (0, "0") and not isinstance(value, bool):
            return 0.0
        if not isinstance(value, str):
            raise ValueError(f"{_kind(value)} is not {self.kind} with its unit: write {self._advice}")  # noqa: TRY004 - pydantic collects ValueErrors only
        text = value.strip()
        if text in self.words:
            return self.words[text]
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(\S*)", text)
        if match is None or match[2] not in self.units:
            ambiguous = text.lower().endswith("bps")
            why = "may be bits or bytes per second" if ambiguous else f"is not {self.kind}"
            raise ValueError(f"'{text[:40]}' {why}: write {self._advice}")
        return float(match[1]) * self.units[match[2]]

    @property
    def _advice(self) -> str:
        return f"{self.examples[0]} or {self.examples[1]}"

    @property
    def json_schema(self) -> dict[str, object]:
        """What an editor may check while a person types."""
        units = "|".join(re.escape(unit) for unit in self.units)
        alternatives = [rf"[0-9]*\.?[0-9]+ *({units})", *self.words, *(["0"] if self.zero else [])]
        text = {"type": "string", "pattern": f"^({'|'.join(alternatives)})$", "examples": list(self.examples)}
        return {"anyOf": [text, {"const": 0}]} if self.zero else dict(text)


def _kind(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}"
    return "nothing" if value is None else f"a {type(value).__name__}"


_SIZE = _Quantity(
    kind="a size",
    units={f"{prefix}B": factor for prefix, factor in (_DECIMAL | _BINARY | {"K": 1000}).items()} | _BINARY,
    examples=("512MiB", "4GB"),
)
_RATE = _Quantity(
    kind="a rate",
    units={
        f"{prefix}{bit}": factor / 8
        for prefix, factor in (_DECIMAL | {"m": 10**6, "g": 10**9}).items()
        for bit in ("bit", "bit/s")
    }
    | {f"{prefix}B/s": factor for prefix, factor in (_DECIMAL | _BINARY).items()},
    examples=("50mbit", "6MB/s"),
    words={"unlimited": 0.0},
)
_DURATION = _Quantity(
    kind="a duration",
    units={"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0},
    examples=("5ms", "0.2s"),
    zero=True,
)
_LOSS = _Quantity(kind="a loss", units={"%": 0.01}, examples=("0.1%", "2%"), zero=True)
_SPAN = _Quantity(
    kind="a span of time",
    units={"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    examples=("90s", "30min"),
)
_SHARE = _Quantity(kind="a share", units={"%": 0.01}, examples=("5%", "2.5%"))
_FACTOR = _Quantity(kind="a factor", units={"x": 1.0}, examples=("0.3x", "2x"))


def _parser(quantity: _Quantity, low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = quantity.parse(value)
        if low <= number <= high or (isinstance(value, str) and value.strip() in quantity.words):
            return number
        raise ValueError(f"'{value}' is out of range for {quantity.kind}: write one like {quantity.examples[0]}")

    return parse


parse_bytes = _parser(_SIZE, 2**20, 2**50)
"""Bytes of a text such as `512MiB` or `4 GB`, 1 MiB to 1 PiB."""
parse_bytes_per_second = _parser(_RATE, 1e2, 1e12)
"""Bytes per second of a text such as `50mbit` or `6.25MB/s`; 0 for `unlimited`."""
parse_seconds = _parser(_DURATION, 0.0, 60.0)
"""Seconds of a text such as `5ms`, up to a minute."""
parse_loss = _parser(_LOSS, 0.0, 0.5)
"""Probability of a text such as `0.1%`, up to a half."""
parse_span_seconds = _parser(_SPAN, 1e-3, 30 * 86400.0)
"""Seconds of a text such as `30min`, from a millisecond to a month."""
parse_share = _parser(_SHARE, 1e-4, 1.0)
"""Share of a text such as `5%`, up to the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A quantity in SI, or a factor on what was probed."""

    value: float
    is_factor: bool


def _change_parser(quantity: _Quantity, parse: Callable[[object], float]) -> Callable[[object], Change]:
    parse_factor = _parser(_FACTOR, 1e-4, 1e4)

    def parse_change(value: object) -> Change:
        if isinstance(value, str) and value.strip().endswith("x"):
            return Change(value=parse_factor(value), is_factor=True)
        if isinstance(value, str) and value.strip() in quantity.words:
            raise ValueError(f"'{value}' is no condition: write {quantity.examples[0]}, or a factor such as 0.3x")
        try:
            return Change(value=parse(value), is_factor=False)
        except ValueError as exc:
            raise ValueError(f"{exc}, or a factor such as 0.3x") from exc

    return parse_change


parse_rate_change = _change_parser(_RATE, parse_bytes_per_second)
"""A rate such as `10mbit`, or a factor such as `0.3x`."""
parse_delay_change = _change_parser(_DURATION, parse_seconds)
"""A duration such as `20ms`, or a factor such as `2x`."""


def _change_schema(quantity: _Quantity) -> dict[str, object]:
    return {"anyOf": [quantity.json_schema, _FACTOR.json_schema]}


RATE_CHANGE_SCHEMA, DELAY_CHANGE_SCHEMA = _change_schema(_RATE), _change_schema(_DURATION)

Bytes = Annotated[int, BeforeValidator(lambda value: round(parse_bytes(value))), WithJsonSchema(_SIZE.json_schema)]
BytesPerSecond = Annotated[float, BeforeValidator(parse_bytes_per_second), WithJsonSchema(_RATE.json_schema)]
Seconds = Annotated[float, BeforeValidator(parse_seconds), WithJsonSchema(_DURATION.json_schema)]
SpanSeconds = Annotated[float, BeforeValidator(parse_span_seconds), WithJsonSchema(_SPAN.json_schema)]
Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(_SHARE.json_schema)]
Loss = Annotated[float, BeforeValidator(parse_loss), WithJsonSchema(_LOSS.json_schema)]


def rate_text(bytes_per_second: float) -> str:
    """A rate for people: `60 Mbit/s`."""
    bits = bytes_per_second * 8
    prefix, factor = next((item for item in (("G", 1e9), ("M", 1e6)) if bits >= item[1]), ("k", 1e3))
    return f"{bits / factor:.4g} {prefix}bit/s"


def duration_text(seconds: float) -> str:
    """A duration for people: `8 ms`."""
    return f"{seconds * 1e3:.4g} ms" if seconds < 1 else f"{seconds:.4g} s"


def span_text(seconds: float) -> str:
    """A span of time for people: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cores_share_text(n_cores: float) -> str:
    """A share of processor time for people: `40 % of a core`, `1.5 cores`."""
    if n_cores < 1:
        return f"{n_cores * 100:g} % of a core"
    return f"{n_cores:g} core{'s' if n_cores > 1 else ''}"
