"""The page as text: self-contained, complete, and deaf to what names try."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_sample import N_UNITS, WARNING, predicted_run, sample_run, unsplit_run

from coordinator.report.page import render_page
from coordinator.report.run import Run
from coordinator.report.write import write_report

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=document.title="owned">'


@pytest.fixture(scope="module")
def full() -> str:
    return render_page(sample_run())


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_page(hostile_run())


def hostile_run() -> Run:
    """Every name that can come from outside tries to run something."""
    run = sample_run(tuple(f"{HOSTILE}{i}" for i in range(N_UNITS)))
    assert run.measurement is not None
    layers = tuple(replace(layer, op=HOSTILE) for layer in run.graph.layers)
    measurement = replace(
        run.measurement,
        label=HOSTILE,
        recommendation=HOSTILE,
        environment={HOSTILE: HOSTILE},
        prediction=replace(run.measurement.prediction, warnings=(HOSTILE,)) if run.measurement.prediction else None,
        emulation={f"device:{HOSTILE}": HOSTILE},
        spans=(*run.measurement.spans, replace(run.measurement.spans[0], lane=f"device:{HOSTILE}", what=HOSTILE)),
    )
    certificate = replace(run.search.certificate, statement=HOSTILE)
    return replace(
        run,
        title=HOSTILE,
        command=("splitfront", HOSTILE),
        graph=replace(run.graph, name=HOSTILE, layers=layers),
        search=replace(run.search, engine=HOSTILE, certificate=certificate),
        measurement=measurement,
    )


class Elements(HTMLParser):
    """Elements, attributes and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            self.scripts[-1] += data
        elif self._open != "style":
            self.text.append(data)

    def embedded(self, name: str) -> Any:
        kinds = [attributes.get("id") for tag, attributes in self.tags if tag == "script"]
        return json.loads(self.scripts[kinds.index(name)])


def test_nothing_is_loaded_from_anywhere(full: str) -> None:
    tags = Elements(full).tags
    assert not [tag for tag, attributes in tags if attributes.keys() & {"src", "href", "srcset", "data", "action"}]
    assert not {tag for tag, _ in tags} & {"link", "img", "iframe", "object", "embed", "base", "form"}
    style = full[full.index("<style>") : full.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_lets_run_the_two_scripts_and_nothing_else(full: str) -> None:
    elements = Elements(full)
    policy = next(a["content"] for tag, a in elements.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    running = [
        script
        for script, (_, attributes) in zip(
            elements.scripts, [one for one in elements.tags if one[0] == "script"], strict=True
        )
        if attributes.get("type") != "application/json"
    ]
    digests = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in running}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == digests
    assert len(running) == 2


def test_plotly_is_there_once(full: str) -> None:
    assert len(re.findall(r"\* plotly\.js v\d", full)) == 1
    assert "sendChartToCloud" in Elements(full).scripts[-1]  # the button that would is taken away


def test_all_figures_and_points_are_in_the_page(full: str) -> None:
    elements = Elements(full)
    data = elements.embedded("figures-data")
    places = [attributes["data-figure"] for _, attributes in elements.tags if "data-figure" in attributes]
    assert places == list(data) == ["front", "prediction", "residuals", "timeline", "busy", "profile"]
    run = sample_run()
    lengths = {trace["name"]: len(trace["x"]) for trace in data["front"]["data"]}
    assert lengths["front, predicted"] == len(run.search.front)
    assert lengths["dominated (sample of 152)"] == len(run.search.dominated)
    assert set(elements.embedded("templates-data")) == {"light", "dark"}


def test_names_cannot_make_elements(full: str, hostile: str) -> None:
    expected, found = Elements(full), Elements(hostile)
    assert {tag for tag, _ in found.tags} == {tag for tag, _ in expected.tags}
    assert len(found.scripts) == len(expected.scripts)
    assert not [a for _, a in found.tags if any(name.startswith("on") for name in a)]


def test_names_cannot_make_elements_inside_plotly_either(hostile: str) -> None:
    data = Elements(hostile).embedded("figures-data")
    for text in strings(data):
        assert "<img" not in text
        assert "<script" not in text
        assert re.sub(r"</?b>|<br>", "", text).count("<") == 0, text


def test_names_that_would_reverse_or_break_lines_are_made_visible() -> None:
    page = render_page(replace(sample_run(), title="a\u202eb\x1b[31m\nc"))
    assert "<title>a�b�[31m�c</title>" in page


def test_emulation_is_always_said(full: str) -> None:
    assert '<span class="badge warn">emulated: pi-1, pi-2, 12 links</span>' in full
    assert "emulated:" not in render_page(unsplit_run())


def test_failed_requests_are_said() -> None:
    run = sample_run()
    assert run.measurement is not None
    page = render_page(replace(run, measurement=replace(run.measurement, n_errors=3)))
    assert "3 requests failed" in page


def test_the_figures_that_matter_stand_in_words(full: str) -> None:
    text = " ".join(Elements(full).text)
    for part in (
        "2.97 × the throughput of the best single device (server), 95 % interval 2.89 – 3.06.",
        "Predicted 90.1 ms and 59.8 /s; measured 92.8 ms (−2.9 %) and 58.0 /s (+3.0 %).",
        "differ from the whole model's by at most 1.3e-6",
        "splitfront run mobilenet_v2 --cluster 'two pis.yaml' --objective throughput",
        "onnxruntime 1.32.0",
        "3.0 times slower",
    ):
        assert part in text


def test_what_speaks_against_the_figures_stands_before_them(full: str) -> None:
    assert full.index(WARNING.replace("'", "&#x27;")) < full.index('<dl class="key">')
    run = sample_run()
    assert run.measurement is not None
    assert run.measurement.prediction is not None
    quiet = replace(run.measurement, prediction=replace(run.measurement.prediction, warnings=()))
    assert 'class="doubts"' not in render_page(replace(run, measurement=quiet))


def test_a_measurement_of_an_older_version_is_still_shown() -> None:
    run = sample_run()
    assert run.measurement is not None
    page = render_page(replace(run, measurement=replace(run.measurement, prediction=None)))
    assert 'id="prediction"' in page
    assert "Kendall τ" in page


def test_before_measuring_the_page_says_so() -> None:
    page = render_page(predicted_run())
    assert "predicted only" in page
    assert 'id="timeline"' not in page
    assert 'id="prediction"' not in page
    assert 'class="doubts"' not in page
    assert "Measured plans" not in page


def test_do_not_split_is_a_result() -> None:
    page = render_page(unsplit_run())
    assert "<h1>Do not split: run the whole model on server.</h1>" in page


def test_files_are_written_and_equal_runs_give_equal_files(tmp_path: Path) -> None:
    first, second = write_report(tmp_path / "a", sample_run()), write_report(tmp_path / "b" / "c", sample_run())
    assert [path.relative_to(tmp_path / "a").as_posix() for path in first] == [
        "report.html",
        "figures/front.png",
        "figures/front.svg",
        "figures/profile.png",
        "figures/prediction.png",
        "figures/prediction.svg",
    ]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_heavy_libraries_wait_until_a_report_is_written() -> None:
    code = (
        "import sys\n"
        "import coordinator.report.write, coordinator.report.text, coordinator.report.page\n"
        "print(sorted({'plotly', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in strings(part)]
    return [text for part in value for text in strings(part)] if isinstance(value, list) else []
