"""What every benchmark prints and writes: named figures with intervals and targets, and the machine's facts."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

MIN_WIDTH = 140
"""Of the table: names of figures are read whole, also in a log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of a benchmark. `holds` is None where nothing was promised."""

    name: str
    value: float
    interval: tuple[float, float]
    unit: str
    target: str = ""
    holds: bool | None = None


def at_least(name: str, value: float, interval: tuple[float, float], unit: str, bound: float) -> Figure:
    """A figure that is to be `bound` or more."""
    return Figure(name=name, value=value, interval=interval, unit=unit, target=f">= {bound:g}", holds=value >= bound)


def at_most(name: str, value: float, interval: tuple[float, float], unit: str, bound: float) -> Figure:
    """A figure that is to be `bound` or less."""
    return Figure(name=name, value=value, interval=interval, unit=unit, target=f"<= {bound:g}", holds=value <= bound)


def parse_arguments(description: str | None) -> argparse.Namespace:
    """`--quick` and `--json FILE`."""
    return argument_parser(description).parse_args()


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of what every benchmark takes, for one that takes more."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="shorter, with wider intervals")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser


def publish(figures: Sequence[Figure], path: Path | None, *, notes: Mapping[str, object] | None = None) -> int:
    """Prints the table, writes the file if asked to, and gives the exit status: 1 when a figure does not hold.

    `notes` go into the file beside the machine's facts.
    """
    table = Table("figure", "value", "95 % interval", "unit", "target", "holds")
    for column in table.columns:
        column.no_wrap = True
    for figure in figures:
        low, high = figure.interval
        holds = "" if figure.holds is None else "yes" if figure.holds else "NO"
        table.add_row(figure.name, f"{figure.value:.4g}", f"{low:.4g} … {high:.4g}", figure.unit, figure.target, holds)
    Console(width=max(Console().width, MIN_WIDTH)).print(table)
    if path is not None:
        record = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine_facts(),
            "versions": {name: version(name) for name in ("splitfront", "numpy", "onnxruntime", "grpcio", "protobuf")},
            **(notes or {}),
            "figures": [asdict(figure) for figure in figures],
        }
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.holds is not False for figure in figures) else 1


def machine_facts() -> dict[str, str | int | float]:
    """What the figures hold for."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.processor(),
        "n_cores": os.cpu_count() or 0,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_1min": os.getloadavg()[0],
    }
