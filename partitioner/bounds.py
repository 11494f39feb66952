"""Bounds in words: `latency<=50ms`, `throughput>=20`, `energy<=2J`, `memory<=512MiB`, `wire<=1MB`, `error<=1%`."""

import re
from dataclasses import dataclass

from partitioner.errors import ChoiceError
from partitioner.plan import CostEstimate

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6}
BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
JOULES = {"j": 1.0, "mj": 1e-3}
SHARES = {"": 1.0, "%": 1e-2}
RATES = {"": 1.0, "/s": 1.0}

THROUGHPUT = "throughput"
FIELDS = {
    "latency": ("latency_seconds", SECONDS),
    THROUGHPUT: ("throughput_per_second", RATES),
    "memory": ("memory_bytes", BYTES),
    "energy": ("energy_joules", JOULES),
    "wire": ("wire_bytes", BYTES),
    "error": ("output_error", SHARES),
}
"""Field of a `CostEstimate` and units of each word."""
EXAMPLES = (
    "`latency<=50ms`, `throughput>=20`, `memory<=512MiB`, `energy<=2J`, `wire<=1MB` or `error<=1%` (throughput in "
    "samples per second, the others for one request)"
)

_FORM = re.compile(
    r"(?P<word>[a-z]+)\s*(?P<sign><=|>=)\s*(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?P<unit>[a-zµμ%/]*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One inequality: the least throughput, or the most of something else."""

    text: str
    word: str
    """One of `FIELDS`."""
    figure: float
    """In SI units."""

    def holds(self, cost: CostEstimate) -> bool:
        """Whether a plan of this cost is within; one whose figure is not known is not."""
        value = getattr(cost, FIELDS[self.word][0])
        return value is not None and (value >= self.figure if self.word == THROUGHPUT else value <= self.figure)


def read_bound(text: str) -> Bound | None:
    """The bound that a text says; None where it says none."""
    match = _FORM.fullmatch(text.strip())
    if match is None or match["word"].lower() not in FIELDS:
        return None
    word = match["word"].lower()
    scale = FIELDS[word][1].get(match["unit"].lower())
    if scale is None or (match["sign"] == ">=") != (word == THROUGHPUT):
        return None
    unit = match["unit"] if word != THROUGHPUT else "/s"
    spaced = f" {unit}" if unit[:1].isalpha() or unit[:1] in "µμ" else unit
    return Bound(
        text=f"{word} {match['sign']} {match['number']}{spaced}", word=word, figure=float(match["number"]) * scale
    )


def parse_bound(text: str) -> Bound:
    """The bound that a text says.

    Raises:
        ChoiceError: It says none.
    """
    bound = read_bound(text)
    if bound is None:
        raise ChoiceError(f"Bound {text!r} cannot be read: wanted one such as {EXAMPLES}.")
    return bound


def seconds_text(seconds: float) -> str:
    """`36.3 ms`."""
    return f"{seconds:.4g} s" if seconds >= 1 else f"{seconds * 1e3:.4g} ms"
