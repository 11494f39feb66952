"""Writes the report of a sweep into its folder."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coordinator.report.html_table import Table
from coordinator.report.sweep.forecast_tables import forecast_tables
from coordinator.report.sweep.judging import OBJECTIVES
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.runs_table import runs_table
from coordinator.report.sweep.series import FigureKind, SettingSeries, SweepSeries
from coordinator.report.sweep.table_files import csv_text, latex_text
from coordinator.report.sweep.tables import cases_table, conditions_table, regret_page_table
from coordinator.results.values import Run, Sweep
from coordinator.sweep.predicted import PredictedSweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from coordinator.report.sweep.drawing import Size


def write_sweep_report(
    sweep: Sweep,
    runs: Iterable[Run],
    folder: Path,
    *,
    forecasts: Sequence[PredictedSweep] = (),
    figures: FigureKind = "screen",
) -> tuple[Path, ...]:
    """Writes `report.html`, `tables/` and `figures/` into `folder`, made where it is missing, and returns the files.

    Equal sweeps give equal tables, and equal files of all kinds, but for what another version of a drawing library
    changes.

    Args:
        sweep: As it was planned.
        runs: All of its runs, with their samples: those that are invalid or failed as well.
        folder: Of the report; normally that of the sweep.
        forecasts: What was predicted, model by model.
        figures: `screen` for slides and pages, `paper` for the columns of a two-column paper.

    Raises:
        OSError: A file cannot be written.
    """
    # They are slow to import, and only here are they needed.
    from coordinator.report.sweep import page  # noqa: PLC0415

    series = read_sweep(sweep, runs, forecasts)
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.html"
    report.write_text(page.render_sweep(series), encoding="utf-8", newline="\n")
    return (report, *write_tables(series, folder / "tables"), *_write_figures(series, folder / "figures", figures))


def write_tables(series: SweepSeries, folder: Path) -> list[Path]:
    """All cases and runs as CSV; what is best, and regrets, of each setting as CSV and LaTeX. Returns the files.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        _write(folder / "cases.csv", csv_text(cases_table(series))),
        _write(folder / "runs.csv", csv_text(runs_table(series))),
    ]
    for setting in series.settings:
        own = folder / setting.slug
        own.mkdir(exist_ok=True)
        for name, table in _setting_tables(setting).items():
            label = f"{setting.slug}-{name}"
            written += [
                _write(own / f"{name}.csv", csv_text(table)),
                _write(own / f"{name}.tex", latex_text(table, label)),
            ]
    return written


def _setting_tables(setting: SettingSeries) -> dict[str, Table]:
    regrets = {f"regret_{found.objective}": regret_page_table(found) for found in setting.regrets}
    predicted = forecast_tables(setting.forecast) if setting.forecast else {}
    return {"conditions": conditions_table(setting), **regrets, **predicted}


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _write_figures(series: SweepSeries, folder: Path, kind: FigureKind) -> list[Path]:
    from coordinator.report.sweep import (  # noqa: PLC0415
        crossover_drawing,
        front_drawing,
        prediction_drawing,
        spread_drawing,
    )
    from coordinator.report.sweep.drawing import write_drawings  # noqa: PLC0415

    written: list[Path] = []
    for setting in series.settings:
        own = folder / setting.slug
        own.mkdir(parents=True, exist_ok=True)
        pictures: dict[str, Callable[[Size], Figure | None]] = {
            "fronts": partial(front_drawing.draw_fronts, setting),
            "fronts_overlay": partial(front_drawing.draw_overlay, setting),
            "crossover": partial(crossover_drawing.draw_crossover, setting),
            "prediction": partial(prediction_drawing.draw_prediction, setting),
            **{f"regret_{found.objective}": partial(spread_drawing.draw_regret, found) for found in setting.regrets},
        }
        if not setting.is_predicted:
            for objective in OBJECTIVES:
                pictures[f"spread_{objective}"] = partial(spread_drawing.draw_spread, setting, objective)
        for name, draw in pictures.items():
            written += write_drawings(draw, own, name, kind)
    return written
