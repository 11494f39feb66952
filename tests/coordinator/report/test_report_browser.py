"""The page in a real browser: its figures are drawn, nothing complains, and no name runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_sample import N_UNITS, sample_graph, sample_run
from test_report_objectives import space
from test_report_page import hostile_run

from coordinator.report.page import render_page
from coordinator.report.prediction_points import residuals
from coordinator.report.run import Run
from coordinator.report.write import write_objectives, write_order

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page with"),
]


def opened(run: Run, folder: Path, *options: str) -> tuple[str, list[str]]:
    """The document after its scripts ran, and what the console said."""
    page = folder / "report.html"
    page.write_text(render_page(run), encoding="utf-8")
    return opened_page(page, folder, *options)


def opened_page(page: Path, folder: Path, *options: str) -> tuple[str, list[str]]:
    """The same for a page that is there."""
    browser = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            f"--user-data-dir={folder / 'browser'}",
            *options,
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return browser.stdout, [line for line in browser.stderr.splitlines() if "CONSOLE" in line]


def test_all_figures_are_drawn_and_the_console_is_silent(tmp_path: Path) -> None:
    document, complaints = opened(sample_run(), tmp_path)
    assert complaints == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 6
    run = sample_run()
    assert run.measurement is not None
    n_quality = 2 * sum(1 + (plan.corrected is not None) for plan in run.measured_plans)
    n_quality += sum(1 + (one.corrected_error is not None) for one in residuals(run.measurement))
    n_predicted = len(run.search.front) + len(run.search.dominated) + 3 + 2  # single devices; chosen and knee
    assert len(re.findall(r'<path class="point"', document)) == n_predicted + n_quality + len(run.measured_plans)
    for word in ("front, predicted", "better ↖", "pi-2 → server", "bottleneck", "bytes that cross at each split point"):
        assert word in document


def test_names_from_a_model_do_not_run(tmp_path: Path) -> None:
    document, complaints = opened(hostile_run(), tmp_path, "--blink-settings=preferredColorScheme=0")
    assert complaints == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 6
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title.group(1) != "owned"
    assert "<img" not in document


def test_the_picture_of_a_network_is_drawn(tmp_path: Path) -> None:
    document, complaints = opened_page(write_order(sample_graph(), tmp_path / "order.html"), tmp_path)
    assert complaints == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 1
    assert len(re.findall(r'<path class="point"', document)) == 2 * (N_UNITS + 1)
    for word in ("one tensor crosses", "100 KiB", "work before it (%)"):
        assert word in document


@pytest.mark.parametrize(("n_objectives", "names"), [(3, ["space", "pairs", "parallel"]), (4, ["parallel", "pairs"])])
def test_pictures_of_many_objectives_are_drawn_under_the_policy(
    tmp_path: Path, n_objectives: int, names: list[str]
) -> None:
    page = write_objectives(space(n_objectives), "many objectives", tmp_path / "front.html")
    document, complaints = opened_page(page, tmp_path, "--enable-unsafe-swiftshader")
    # the software renderer tells of its speed; a broken policy or script would tell of other things
    assert [line for line in complaints if "INFO" not in line or "Policy" in line or "rror" in line] == []
    assert re.findall(r'data-figure="(\w+)"', document) == names
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == len(names)
    drawn = document[: document.index('<script type="application/json"')]
    assert "WebGL is not supported" not in drawn
    assert ("<canvas" in drawn) == (n_objectives == 3)
    for word in ("latency (ms), less is better", "throughput", "yellow star"):
        assert word in drawn
