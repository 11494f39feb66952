"""The page of a sweep as text: self-contained, complete, and deaf to what names try."""

import json
from dataclasses import replace

import pytest
from sweep_sample import NETWORKS, sample_sweep, usual_series, usual_sweep
from test_report_page import HOSTILE, Elements, strings

from coordinator.report.sweep.page import render_sweep
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.samples import MOST_SAMPLES, case_samples, stride_for
from coordinator.results.values import Run, Sweep


@pytest.fixture(scope="module")
def page() -> str:
    return render_sweep(usual_series())


def hostile_sweep() -> tuple[Sweep, tuple[Run, ...]]:
    """Every name that can come from outside tries to run something."""
    sweep, runs = sample_sweep(models=["resnet18"], networks=NETWORKS[:2], n_samples=3)
    cases = [
        replace(
            case,
            model=HOSTILE,
            cluster=HOSTILE,
            condition=f"{HOSTILE}{case.condition}",
            plan_label=f"{HOSTILE}{case.plan_label}",
        )
        for case in sweep.cases
    ]
    keys = {old.key: new.key for old, new in zip(sweep.cases, cases, strict=True)}
    spoilt = [
        replace(
            run,
            case_key=keys[run.case_key],
            state="failed" if run.position % 9 == 0 else run.state,
            reason=HOSTILE,
            began_at=HOSTILE,
            environment={HOSTILE: HOSTILE},
            figures={**run.figures, HOSTILE: 1.0},
            links=tuple(replace(link, source=HOSTILE) for link in run.links),
        )
        for run in runs
    ]
    order = tuple((keys[key], repeat) for key, repeat in sweep.order)
    changed = replace(sweep, name=HOSTILE, cases=tuple(cases), order=order, spec={HOSTILE: HOSTILE})
    return replace(changed, versions={HOSTILE: HOSTILE}), tuple(spoilt)


def test_the_recommendation_comes_first_then_what_came_to_nothing(page: str) -> None:
    places = [
        page.index(text) for text in ("What to run, for each of 2 settings", "426 of 432 planned runs", "Attempts")
    ]
    assert places == sorted(places)
    assert places[-1] < page.index('id="fronts"')
    assert "21 invalid attempts" in page
    assert "13 failed attempts" in page


def test_it_loads_nothing_and_allows_its_own_scripts_only(page: str) -> None:
    elements = Elements(page)
    for _, attributes in elements.tags:
        assert not {"src", "srcset", "data"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert "default-src 'none'" in page


def test_every_sample_is_in_the_page(page: str) -> None:
    _, runs = usual_sweep()
    elements = Elements(page)
    ids = [attributes["id"] for tag, attributes in elements.tags if tag == "script" and "id" in attributes]
    cases = [elements.embedded(str(name)) for name in ids if str(name).startswith("case-")]
    taken = sum(len(run[kind]["took"]) for case in cases for run in case["runs"] for kind in ("lone", "loaded"))
    assert taken == sum(len(run.samples) for run in runs)
    assert sum(len(case["runs"]) for case in cases) == len(runs)


def test_a_huge_sweep_is_thinned_and_says_so() -> None:
    assert (stride_for(20_000), stride_for(MOST_SAMPLES + 1)) == (1, 2)
    series = usual_series()
    setting = series.settings[0]
    point = setting.points[0]
    thinned = json.dumps(case_samples(setting, point, 7))
    run = next(run for run in point.runs if run.state == "done")
    slowest = max(sample.latency_seconds for sample in run.samples if sample.scenario == "single_stream")
    assert '"stride": 7' in thinned
    assert str(round(slowest * 1e6)) in thinned, "the extremes stay"


def test_names_cannot_make_elements() -> None:
    hostile = render_sweep(read_sweep(*hostile_sweep()))
    elements = Elements(hostile)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    assert not [attributes for _, attributes in elements.tags if any(name.startswith("on") for name in attributes)]
    for text in strings(elements.embedded("setting-0")["figures"]):
        assert "<img" not in text
        assert "<script" not in text


def test_equal_sweeps_give_equal_pages() -> None:
    pages = []
    for turn in (1, -1):
        sweep, runs = sample_sweep(models=["resnet18"], networks=NETWORKS[:1], planes=["grpc", "tcp"], n_samples=4)
        pages.append(render_sweep(read_sweep(sweep, runs[::turn])))
    assert pages[0] == pages[1]


def test_a_sweep_that_has_not_begun_and_one_that_was_only_predicted_have_pages() -> None:
    sweep, runs = sample_sweep(models=["vgg16"], networks=NETWORKS[:2], n_samples=3)
    assert "24 cases" not in render_sweep(read_sweep(sweep, []))
    bare = [replace(run, figures={}, samples=(), links=()) for run in runs if run.state == "done"]
    assert "predicted only" in render_sweep(read_sweep(sweep, bare))
