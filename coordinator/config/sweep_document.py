"""From what a sweep was begun with back to the language of `sweep.yaml`. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pydantic import BaseModel

from coordinator.config.faults import models_in
from coordinator.config.sweep import SweepConfig

_UNITS = {"bytes_per_second": "B/s", "bytes": "B", "seconds": "s", "rate": "B/s", "delay": "s"}
"""By the end of a field's name."""
_SHARES = ("loss", "interval")
_TRACES = "traces"


def sweep_document(spec: Mapping[str, object], traces: Mapping[str, str]) -> dict[str, object]:
    """The content of a `sweep.yaml` that asks for the same; what no sweep file has stays as it is.

    Args:
        spec: As `SweepFile.spec` says it, the clusters' files included.
        traces: Paths of the traces that conditions replay, by the names of the conditions.
    """
    found = _section({name: value for name, value in spec.items() if name != _TRACES}, SweepConfig)
    conditions = found.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, dict) and condition.get("name") in traces:
            condition["trace"] = traces[condition["name"]]
    return found


def trace_csv(steps: Iterable[tuple[float, float, float | None]]) -> str:
    """The file of a recorded trace: of each step its seconds, bytes per second, and delay where it tells one."""
    rows, moment = [], Decimal(0)
    for seconds, rate, delay in steps:
        rows.append([format(moment, "f"), _quantity(rate, "B/s"), *([] if delay is None else [_quantity(delay, "s")])])
        moment += Decimal(repr(seconds))
    header = ["seconds", "rate", "delay"][: max(map(len, rows), default=2)]
    return "".join(",".join(row) + "\n" for row in [header, *rows])


def _section(values: Mapping[str, object], section: type[BaseModel]) -> dict[str, object]:
    found = {}
    for name, value in values.items():
        field = section.model_fields.get(name)
        if field is None:
            found[name] = value
        elif not _is_left_out(value, field.default):
            inner = next(models_in(field.annotation), None)
            written = _written(name, value, inner)
            if written != {}:
                found[field.alias or name] = written
    return found


def _is_left_out(value: object, default: object) -> bool:
    return value in ([], {}) or (value is None and default is None)


def _written(name: str, value: object, section: type[BaseModel] | None) -> object:
    if isinstance(value, list):
        return [_written(name, entry, section) for entry in value]
    if isinstance(value, Mapping):
        if value.keys() == {"value", "is_factor"}:
            return _quantity(value["value"], "x" if value["is_factor"] else _unit(name))
        return _section(value, section) if section else dict(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and _unit(name):
        return _quantity(value, _unit(name))
    return value


def _unit(name: str) -> str:
    if name in _SHARES:
        return "%"
    return next((unit for end, unit in _UNITS.items() if name == end or name.endswith(f"_{end}")), "")


def _quantity(value: float, unit: str) -> str:
    """Text that is read as the very number."""
    if unit == "B/s" and value == 0:
        return "unlimited"
    number = Decimal(f"{value * 100:.12g}") if unit == "%" else Decimal(repr(value))
    return f"{format(number, 'f')}{unit}"
