"""What was predicted of a sweep, drawn as what was measured is."""

from dataclasses import replace

import numpy as np
import pytest
from sweep_sample import predicted_sweep, sample_sweep

from coordinator.report.sweep.crossover_figure import crossover_figure, map_grid
from coordinator.report.sweep.forecast import MOST_CONDITIONS
from coordinator.report.sweep.forecast_tables import forecast_tables
from coordinator.report.sweep.page import render_sweep
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.series import SettingSeries
from coordinator.report.sweep.tables import conditions_table
from coordinator.report.sweep.write import write_sweep_report
from coordinator.sweep.predicted import PredictedSweep


@pytest.fixture(scope="module")
def found() -> PredictedSweep:
    return predicted_sweep()


@pytest.fixture(scope="module")
def sweep():
    return sample_sweep(models=["mobilenet_v2"], n_samples=3)[0]


@pytest.fixture(scope="module")
def setting(sweep, found) -> SettingSeries:
    (only,) = read_sweep(sweep, [], [found]).settings
    return only


def test_it_takes_the_place_of_cases_that_were_not_measured_and_stands_beside_those_that_were(sweep, found) -> None:
    _, runs = sample_sweep(models=["mobilenet_v2"], n_samples=3)
    alone, both = read_sweep(sweep, [], [found]), read_sweep(sweep, runs, [found])
    assert [setting.name for setting in alone.settings] == ["mobilenet_v2, predicted"]
    assert alone.cases == ()
    names = [setting.name for setting in both.settings]
    assert len(names) == 2
    assert names[1].endswith(", predicted")
    assert len(both.cases) == len(sweep.cases)
    other = replace(found, model="another")
    assert all(setting.forecast is None for setting in read_sweep(sweep, runs, [other]).settings)


def test_fronts_figures_and_maps_are_those_of_the_prediction(setting, found) -> None:
    assert [condition.name for condition in setting.conditions] == [condition.name for condition in found.conditions]
    for condition, truth in zip(setting.conditions, found.conditions, strict=True):
        assert [point.plan for point in condition.front] == [found.plans[index].label for index in truth.plans]
        told = [point.latency.value for point in condition.front if point.latency]
        assert told == list(truth.latency_seconds)
        assert condition.round_trip_seconds == 2 * truth.delay_seconds
        assert condition.contraction == truth.contraction
    for one, truth in zip(setting.maps, found.crossover, strict=True):
        grid = map_grid(one)
        assert grid is not None
        best = [[found.plans[index].label for index in row] for row in truth.best]
        assert [[cell.plan for cell in row] for row in grid.rows] == best


def test_its_tables_hold_every_plan_and_cover(setting, found) -> None:
    tables = forecast_tables(found)
    assert [row[0].text for row in tables["plans"].rows] == [plan.label for plan in found.plans]
    assert tables["plans"].marked == set(found.minimax)
    assert float(tables["plans"].rows[0][4].raw[0]) == found.plans[0].worst_regret[0]
    assert len(tables["covers"].rows) == len(found.covers)
    assert len(conditions_table(setting).rows) == len(found.conditions)
    assert setting.recommendation.headline.startswith("As predicted, ")
    assert any("the front contracts to" in reason for reason in setting.recommendation.reasons)


def test_of_a_thousand_conditions_some_are_drawn_and_all_are_mapped(sweep) -> None:
    many = predicted_sweep(np.geomspace(1e-3, 0.2, 25).tolist(), np.geomspace(1e5, 1e8, 40).tolist())
    (setting,) = read_sweep(sweep, [], [many]).settings
    assert MOST_CONDITIONS / 2 <= len(setting.conditions) <= MOST_CONDITIONS
    assert len(setting.maps[0].cells) == 1000
    figure = crossover_figure(setting)
    assert figure is not None
    assert "not shown" not in figure.caption
    words = next(trace for trace in figure.traces if trace.get("mode") == "text")
    assert set(words["text"]) == {""}, "there is no room for them"
    assert len(render_sweep(read_sweep(sweep, [], [many]))) < 12e6


def test_it_is_written_like_any_other(sweep, found, tmp_path) -> None:
    written = {
        path.relative_to(tmp_path).as_posix() for path in write_sweep_report(sweep, [], tmp_path, forecasts=[found])
    }
    slug = "mobilenet_v2-predicted"
    assert {f"tables/{slug}/plans.csv", f"tables/{slug}/covers.tex", f"figures/{slug}/crossover.pdf"} <= written
    assert "predicted only" in (tmp_path / "report.html").read_text(encoding="utf-8")
