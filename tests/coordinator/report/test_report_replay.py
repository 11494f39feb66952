"""A run that is packed and drawn again elsewhere."""

from dataclasses import replace

import pytest
from report_sample import DIGEST, sample_run

from coordinator.bundle.packing import bundle_folder
from coordinator.bundle.replay import replay
from coordinator.run_folder import RunFolder, RunSettings
from coordinator.steps import report_step


@pytest.fixture
def folder(tmp_path):
    """Of a run that went all the way, and was drawn."""
    run, made = sample_run(), RunFolder(tmp_path / "r18")
    settings = RunSettings(
        source="mobilenet_v2",
        model_sha256=DIGEST,
        cluster="demo",
        seed=7,
        command=("splitfront", "run", "mobilenet_v2"),
    )
    values = {
        "run": settings,
        "graph": run.graph,
        "cluster": run.cluster,
        "profile": run.profile,
        "front": run.search,
        "plan": run.chosen,
        "measurement": run.measurement,
    }
    for name, value in values.items():
        made.save(name, value, seed=settings.seed, model_sha256=DIGEST)
    report_step(made)
    return made.path


def never(*_):
    raise AssertionError("there is no sweep")


def test_a_replayed_run_is_drawn_to_the_last_byte(folder, tmp_path):
    manifest = bundle_folder(folder, tmp_path / "r18.zip")
    assert (manifest.kind, manifest.seeds) == ("run", (7,))
    assert manifest.commands == (("splitfront", "run", "mobilenet_v2"),)
    assert not [name for name in manifest.files if not name.endswith(".json")]
    done = replay(tmp_path / "r18.zip", tmp_path / "again", draw_sweep=never)
    drawn = {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in {".html", ".png", ".svg"}}
    assert {path.relative_to(tmp_path / "again") for path in done.drawn} == drawn
    for path in drawn:
        assert (tmp_path / "again" / path).read_bytes() == (folder / path).read_bytes(), path


@pytest.mark.parametrize("changes", [{}, {"window": 2}])
def test_a_plan_chosen_after_the_measurement_is_drawn_as_predicted_here_and_where_it_is_replayed(
    folder, tmp_path, changes
):
    run = sample_run()
    chosen = run.search.front[0] if not changes else run.chosen
    chosen = replace(chosen, plan=replace(chosen.plan, **changes))
    RunFolder(folder).save("plan", chosen, seed=7, model_sha256=DIGEST)
    drawn = report_step(RunFolder(folder))
    page = (folder / "report.html").read_text()
    assert "predicted only" in page
    assert "this plan was not measured: splitfront bench does that" in page
    assert "Measured plans" not in page
    bundle_folder(folder, tmp_path / "r18.zip")
    done = replay(tmp_path / "r18.zip", tmp_path / "again", draw_sweep=never)
    assert [path.name for path in done.drawn] == [path.name for path in drawn]
    assert (tmp_path / "again" / "report.html").read_text() == page


def test_a_run_that_was_only_profiled_is_packed_and_unpacked(folder, tmp_path):
    for name in ("front.json", "plan.json", "measurement.json"):
        (folder / name).unlink()
    bundle_folder(folder, tmp_path / "r18.zip")
    assert replay(tmp_path / "r18.zip", tmp_path / "again", draw_sweep=never).drawn == ()
    assert (tmp_path / "again" / "profile.json").read_bytes() == (folder / "profile.json").read_bytes()
