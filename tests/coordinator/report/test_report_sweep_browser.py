"""The page of a sweep in a real browser: rows are picked, the slider moves, points are pointed at and clicked on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Page, browser_page
from sweep_sample import NETWORKS, large_sweep, predicted_sweep, sample_sweep
from test_report_sweep_page import hostile_sweep

from coordinator.report.sweep.page import render_sweep
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.series import SweepSeries

OPENED_SECONDS = 3.0
GENEROUS = 4.0
"""The machine that runs the tests may be busy with others."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page with"),
]


@pytest.fixture(scope="module")
def series() -> SweepSeries:
    return read_sweep(
        *sample_sweep(models=["mobilenet_v2"], networks=NETWORKS[2:5], planes=["grpc", "tcp"], n_samples=9)
    )


@pytest.fixture(scope="module")
def page(series: SweepSeries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "report.html").write_text(render_sweep(series), encoding="utf-8")
    with browser_page(folder) as opened:
        opened.open(folder / "report.html")
        yield opened
        assert opened.complaints == []


def visible_rows(page: Page) -> list[list[str]]:
    rows: list[list[str]] = page.run(
        "[...document.querySelectorAll('#cases tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => [...row.cells].map((cell) => cell.firstChild.textContent))"
    )
    return rows


def choose(page: Page, name: str, value: str) -> None:
    page.run(
        f"(() => {{ const choice = document.querySelector('#cases select[name=\"{name}\"]'); choice.value = '{value}';"
        " choice.dispatchEvent(new Event('change')); })()"
    )


def test_rows_are_picked_by_condition_plan_and_plane(page: Page, series: SweepSeries) -> None:
    n_cases = sum(len(setting.points) for setting in series.settings)
    assert len(visible_rows(page)) == n_cases == 72
    choose(page, "condition", "=lte")
    choose(page, "data plane", "=tcp")
    assert len(visible_rows(page)) == 12
    choose(page, "plan", "=split 14")
    assert [row[1:5] for row in visible_rows(page)] == [["mobilenet_v2", "lte", "split 14", "tcp"]]
    assert page.run("document.querySelector('#cases .filters output').textContent") == "1 of 72 rows"
    for name in ("condition", "data plane", "plan"):
        choose(page, name, "all")
    assert len(visible_rows(page)) == n_cases


def test_heads_sort(page: Page) -> None:
    page.run(
        "[...document.querySelectorAll('#cases button.sort')].find((b) => b.textContent === 'latency (ms)').click()"
    )
    place = page.run("[...document.querySelectorAll('#cases th')].findIndex((head) => head.ariaSort === 'ascending')")
    latencies = [float(row[place].replace(",", "")) for row in visible_rows(page)]
    assert latencies == sorted(latencies)


def test_the_slider_picks_the_condition_with_keys(page: Page, series: SweepSeries) -> None:
    page.show('[data-figure="overlay"]')
    seen = (
        "document.querySelector('[data-figure=\"overlay\"]').data"
        ".filter((trace) => trace.visible && 'own' in trace.meta).map((trace) => trace.meta.own)"
    )
    assert set(page.run(seen)) == {0}
    page.run("document.getElementById('condition').focus()")
    page.press("ArrowRight")
    page.wait("document.getElementById('condition').value === '1'")
    assert set(page.run(seen)) == {1}
    told = page.run("document.querySelector('.slide output').textContent")
    assert told == "lte (round trip 50 ms, 30 Mbit/s)"


def test_pointing_tells_the_plan_and_a_click_opens_its_samples(page: Page, series: SweepSeries) -> None:
    assert page.run("document.querySelector('#samples').open") is False
    page.show('[data-figure="fronts"]')
    page.wait("document.querySelectorAll('[data-figure=\"fronts\"] .point').length > 20")
    best = series.settings[0].conditions[0].front[0]
    place = page.run(
        "(() => { const plot = document.querySelector('[data-figure=\"fronts\"]');"
        f" const trace = plot.data.find((t) => (t.customdata || []).includes('{best.case_key}'));"
        f" const i = trace.customdata.indexOf('{best.case_key}'); const box = plot.getBoundingClientRect();"
        " const [x, y] = [plot._fullLayout.xaxis, plot._fullLayout.yaxis];"
        " return [box.x + x._offset + x.d2p(trace.x[i]), box.y + y._offset + y.d2p(trace.y[i])]; })()"
    )
    page.move(*place)
    said = page.wait("document.querySelector('[data-figure=\"fronts\"] .hoverlayer').textContent")
    assert best.plan in said
    assert "on the front with probability" in said
    page.click(*place)
    page.wait("document.querySelector('#samples').open && document.querySelectorAll('#samples .point').length > 0")
    n_points = page.run("document.querySelectorAll('#samples .point').length")
    assert n_points == sum(len(run.samples) for run in best.runs)
    assert page.run("document.getElementById('samples-title').textContent").startswith(best.plan)
    assert page.run("location.hash") == f"#case-{best.case_key}"
    page.press("Escape")
    page.wait("!document.querySelector('#samples').open && location.hash === ''")


def test_another_setting_brings_its_own_figures(page: Page, series: SweepSeries) -> None:
    page.show('[data-figure="fronts"]')
    page.run(
        "(() => { const choice = document.getElementById('setting'); choice.value = '1';"
        " choice.dispatchEvent(new Event('change')); })()"
    )
    keys = {point.case_key for point in series.settings[1].points}
    drawn = page.wait(
        "document.querySelector('[data-figure=\"fronts\"]').data.flatMap((trace) => trace.customdata || [])"
    )
    assert set(drawn) <= keys
    assert page.run("[...document.querySelectorAll('#regret [data-setting]')].map((one) => one.hidden)") == [
        True,
        False,
    ]


def test_a_link_to_samples_opens_them(series: SweepSeries, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(render_sweep(series), encoding="utf-8")
    point = series.settings[0].points[5]
    with browser_page(tmp_path, is_dark=True) as page:
        page.open(tmp_path / "report.html", f"#case-{point.case_key}")
        page.wait("document.querySelectorAll('#samples .point').length > 0")
        assert page.run("document.querySelectorAll('#samples-runs tbody tr').length") == len(point.runs)
        assert page.complaints == []


def test_names_from_a_sweep_do_not_run(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(render_sweep(read_sweep(*hostile_sweep())), encoding="utf-8")
    with browser_page(tmp_path) as page:
        page.open(tmp_path / "report.html")
        for name in ("fronts", "overlay", "crossover", "prediction", "spread-latency"):
            page.show(f'[data-figure="{name}"]')
        page.run("document.querySelector('#cases tbody a').click()")
        page.wait("document.querySelector('#samples').open")
        assert page.run("document.title") != "owned"
        assert page.run("document.querySelectorAll('img').length") == 0
        assert page.complaints == []


def test_what_was_only_predicted_is_drawn_and_has_its_slider(tmp_path: Path) -> None:
    sweep, _ = sample_sweep(models=["mobilenet_v2"], n_samples=3)
    found = predicted_sweep()
    (tmp_path / "report.html").write_text(render_sweep(read_sweep(sweep, [], [found])), encoding="utf-8")
    with browser_page(tmp_path) as page:
        page.open(tmp_path / "report.html")
        for name in ("fronts", "overlay", "crossover"):
            page.show(f'[data-figure="{name}"]')
        assert page.run("document.querySelector('#prediction').hidden")
        assert page.run("document.querySelector('#condition').max") == str(len(found.conditions) - 1)
        assert page.run("getComputedStyle(document.querySelector('#setting').closest('label')).display") == "none"
        assert page.complaints == []


def test_twenty_thousand_samples_open_at_once(tmp_path: Path) -> None:
    sweep, runs = large_sweep()
    assert sum(len(run.samples) for run in runs) >= 20_000
    (tmp_path / "report.html").write_text(render_sweep(read_sweep(sweep, runs)), encoding="utf-8")
    with browser_page(tmp_path) as page:
        page.open(tmp_path / "report.html")
        opened = page.run("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1e3
        assert re.match("What to run", page.run("document.querySelector('h1').textContent"))
    assert opened < OPENED_SECONDS * GENEROUS
