"""Figures as people read them. Everything that prints a number of a result does it through here."""

import math
from collections.abc import Callable

from coordinator.measurement import Estimate

UNKNOWN = "–"
"""Stands where there is no figure."""

_TIME_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTE_SCALES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
_COUNT_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def number(value: float | None, digits: int = 3) -> str:
    """At least `digits` significant digits, without exponent: `0.0123`, `12.3`, `12,346`."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)
    return f"{value:,.{decimals}f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """`12.3 ms`."""
    return _scaled(value, _TIME_SCALES)


def milliseconds(value: float | None) -> str:
    """The number alone, for a column headed `ms`."""
    return UNKNOWN if value is None else number(value * 1e3)


def n_bytes(value: float | None) -> str:
    """`1.50 MiB`; whole bytes below one KiB."""
    if value is not None and math.isfinite(value) and abs(value) < 1023.5:
        return f"{value:.0f} B"
    return _scaled(value, _BYTE_SCALES)


def rate(value: float | None) -> str:
    """`160 /s`."""
    return UNKNOWN if value is None or math.isnan(value) else f"{number(value)} /s"


def byte_rate(value: float | None) -> str:
    """`11.9 MiB/s`."""
    return UNKNOWN if value is None or math.isnan(value) else f"{n_bytes(value)}/s"


def flops(value: float | None) -> str:
    """`301 MFLOP`; nothing known where it is 0."""
    if not value:
        return UNKNOWN
    return f"{_scaled(value, _COUNT_SCALES)}FLOP".replace("  ", " ") if value >= 1e3 else f"{value:.0f} FLOP"


def percent(fraction: float | None, *, is_signed: bool = False) -> str:
    """`12 %`, `+2.4 %`: one decimal below ten."""
    if fraction is None or math.isnan(fraction):
        return UNKNOWN
    value = fraction * 100
    text = f"{abs(value):.1f}" if abs(value) < 9.95 else f"{abs(value):,.0f}"
    is_zero = float(text.replace(",", "")) == 0
    sign = "" if is_zero else "−" if value < 0 else "+" if is_signed else ""
    return f"{sign}{text} %"


def ratio(value: float | None) -> str:
    """`2.34 ×`."""
    return UNKNOWN if value is None or math.isnan(value) else f"{number(value)} ×"


def relative_error(value: float | None) -> str:
    """`1.2e-6`: only its size matters."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if value == 0 or math.isinf(value):
        return number(value)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def interval(estimate: Estimate, show: Callable[[float], str] = number) -> str:
    """`12.1 – 12.6`, with `show` for each end."""
    return f"{show(estimate.low)} – {show(estimate.high)}"


def _scaled(value: float | None, scales: tuple[tuple[float, str], ...]) -> str:
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return number(value)
    rounded = max(abs(float(f"{value:.2e}")), abs(value))  # 999.9 ms is shown as 1.00 s
    smallest = scales[-1] if value else scales[0]
    scale, unit = next(((scale, unit) for scale, unit in scales if rounded >= scale), smallest)
    return f"{number(value / scale)} {unit}"
