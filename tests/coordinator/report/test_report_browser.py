"""The page in a real browser: its figures are drawn, nothing complains, and no name runs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_sample import sample_run
from test_report_page import hostile_run

from coordinator.report.page import render_page
from coordinator.report.run import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine to open the page with"),
]


def opened(run: Run, folder: Path, *options: str) -> tuple[str, list[str]]:
    """The document after its scripts ran, and what the console said."""
    page = folder / "report.html"
    page.write_text(render_page(run), encoding="utf-8")
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
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 4
    run = sample_run()
    n_predicted = len(run.search.front) + len(run.search.dominated) + 3 + 2  # single devices; chosen and knee
    assert len(re.findall(r'<path class="point"', document)) == n_predicted + len(run.measured_plans)
    for word in ("front, predicted", "better ↖", "pi-2 → server", "bottleneck", "bytes that cross at each split point"):
        assert word in document


def test_names_from_a_model_do_not_run(tmp_path: Path) -> None:
    document, complaints = opened(hostile_run(), tmp_path, "--blink-settings=preferredColorScheme=0")
    assert complaints == []
    assert len(re.findall(r'class="plot js-plotly-plot"', document)) == 4
    title = re.search(r"<title>(.*?)</title>", document)
    assert title is not None
    assert title.group(1) != "owned"
    assert "<img" not in document
