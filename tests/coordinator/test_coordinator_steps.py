"""Steps that need no node, from artefacts in a run folder."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from prediction_builders import DIGEST, N_UNITS, chain_model

from coordinator.errors import RunFolderError
from coordinator.run_folder import RunFolder
from coordinator.steps import predicted_plan, robust_step, search_step
from coordinator.wishes import SearchWish
from partitioner.plan import Stage


class Quiet:
    @contextmanager
    def progress(self, _title):
        yield lambda *_: None


@pytest.fixture
def measured_run(tmp_path):
    """A run whose pipelines were seen to take twice as long as the profile says."""
    model, folder = chain_model(), RunFolder(tmp_path)
    live = tuple(
        replace(device, segments=tuple(replace(one, seconds=2 * one.seconds) for one in device.segments))
        for device in model.profile.devices
    )
    chosen = model.candidate((Stage(device="a", start=0, stop=4), Stage(device="b", start=4, stop=N_UNITS)))
    values = {"graph": model.graph, "cluster": model.cluster, "profile": model.profile, "plan": chosen}
    for name, value in (values | {"live_profile": replace(model.profile, devices=live)}).items():
        folder.save(name, value, seed=0, model_sha256=DIGEST)
    return folder, chosen


def test_a_plan_is_predicted_as_it_was_chosen_or_by_the_live_profile(measured_run):
    folder, chosen = measured_run
    assert predicted_plan(folder) == chosen
    live = predicted_plan(folder, is_live=True)
    assert live.plan == chosen.plan
    seconds = [sum(stage.seconds for stage in one.cost.stages) for one in (chosen, live)]
    assert seconds[1] == pytest.approx(2 * seconds[0])


def test_a_plan_that_a_new_search_did_not_find_is_taken_away(measured_run):
    folder, _ = measured_run
    [*_, chosen] = search_step(folder, SearchWish(), Quiet()).front
    assert chosen.plan.is_split
    chosen = replace(chosen, plan=replace(chosen.plan, window=chosen.plan.window + 3))
    folder.save("plan", chosen, seed=0, model_sha256=DIGEST)
    search_step(folder, SearchWish(max_stages=2), Quiet())
    assert predicted_plan(folder).plan == chosen.plan
    search_step(folder, SearchWish(max_stages=1), Quiet())
    with pytest.raises(RunFolderError, match=r"holds no plan\.json: run `splitfront plan`"):
        predicted_plan(folder)
    assert folder.has("live_profile")


def test_a_robust_search_takes_the_profile_that_it_is_told(measured_run):
    folder, _ = measured_run
    alone, live = (
        robust_step(folder, SearchWish(), (), "minimax", Quiet(), is_live=is_live).nominal[1].candidate.cost
        for is_live in (False, True)
    )
    assert live.bottleneck_seconds > 1.5 * alone.bottleneck_seconds


def test_without_a_measurement_there_is_no_live_profile(measured_run):
    folder, _ = measured_run
    (folder.path / "live_profile.json").unlink()
    with pytest.raises(RunFolderError, match="splitfront bench"):
        predicted_plan(folder, is_live=True)
