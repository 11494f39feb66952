from contextlib import ExitStack
from dataclasses import replace

import pytest

from coordinator.company import Company, companies_to_try, untried_stages
from coordinator.config import local_cluster
from coordinator.correcting import TRIAL_SECONDS, correct_front, with_trials, within_budget
from coordinator.fleet import connect_fleet
from coordinator.live_trial import MIN_REQUESTS
from coordinator.planning import probe_links
from coordinator.profiling import ignore_progress, profile_fleet, spans_to_profile
from coordinator.trials import N_VISITS, Trials, try_stages
from coordinator.wishes import SearchWish
from node_agent.errors import NodeError
from partitioner.cost import CostModel
from partitioner.onnx_io import load_model
from partitioner.plan import Stage
from partitioner.profile import DeviceProfile, Profile, StageTrial


@pytest.fixture(scope="module")
def model(toy_model):
    return load_model(str(toy_model))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with connect_fleet(local_cluster(2), run_dir=tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def cost_model(fleet, model):
    spans = spans_to_profile(model.graph.n_units, 0)
    profile = profile_fleet(fleet, model, {node.name: spans for node in fleet.nodes}, budget_seconds=1)
    return CostModel(model.graph, probe_links(fleet, lambda *_: None), profile)


def n_stages(fleet):
    return sum(len(node.client.list_stages()) for node in fleet.nodes)


def trial(start, stop, **changes):
    figures = {"compute_seconds": 1.0, "low_seconds": 0.9, "high_seconds": 1.1, "handover_seconds": 0.1}
    return StageTrial(start=start, stop=stop, **figures, busy_seconds=1.2, n_samples=9, **changes)


def run_alone(fleet, model, name, *spans):
    """Trials of stages of one node, each by itself."""
    companies = [Company(groups=(((name, span),),), rest_seconds=0.01) for span in spans]
    return try_stages(fleet, model, companies, seconds=0.1, seed=0, on_trial=ignore_progress)[name]


def check(one):
    assert one.n_samples >= N_VISITS * MIN_REQUESTS
    assert 0 < one.low_seconds <= one.compute_seconds <= one.high_seconds
    assert one.handover_seconds >= 0
    assert one.busy_seconds > 0


def test_stages_are_run_alone_and_taken_off(fleet, model):
    n_units = model.graph.n_units
    spans = [(0, n_units), (0, 1), (1, n_units - 1)]
    trials = run_alone(fleet, model, fleet.nodes[0].name, *spans)
    assert [(one.start, one.stop) for one in trials] == spans
    for one in trials:
        check(one)
    whole, unit, _ = trials
    assert whole.compute_seconds > unit.compute_seconds
    assert n_stages(fleet) == 0


def test_stages_are_run_in_company(fleet, model):
    first, second = (node.name for node in fleet.nodes)
    company = Company(groups=(((first, (0, 3)), (second, (3, model.graph.n_units))),), rest_seconds=0.002)
    seen = []
    trials = try_stages(fleet, model, [company], seconds=0.2, seed=0, on_trial=lambda *what: seen.append(what))
    assert {name: [(one.start, one.stop) for one in found] for name, found in trials.items()} == {
        first: [(0, 3)],
        second: [(3, model.graph.n_units)],
    }
    for found in trials.values():
        check(found[0])
    assert f"trying {first}[0:3] with {second}[3:{model.graph.n_units}]" in [what for *_, what in seen]
    assert n_stages(fleet) == 0


def test_stages_that_stay_live_are_timed_as_often_as_wanted(fleet, model):
    name, n_units = fleet.nodes[0].name, model.graph.n_units
    spans = [(0, n_units), (1, n_units)]
    companies = [Company(groups=(((name, span),),), rest_seconds=0.001) for span in spans]
    trials = Trials(fleet, model, companies, seed=0, on_trial=ignore_progress)
    with ExitStack() as stack:
        live = [stack.enter_context(trials.live(company)) for company in companies]
        assert n_stages(fleet) == len(spans)
        for _ in range(3):
            for one in live:
                one.time_lone(seconds=0, n_least=2)
        for one in live:
            one.time_loaded(seconds=0, n_least=2)
        assert n_stages(fleet) == len(spans)
    assert n_stages(fleet) == 0
    found = trials.found()[name]
    assert [(one.start, one.stop, one.n_samples) for one in found] == [(*span, 6) for span in spans]
    assert all(one.busy_seconds > 0 for one in found)


def test_a_paced_stage_is_busy_for_its_pace(fleet, model):
    node = fleet.nodes[0]
    paced = replace(node, description=replace(node.description, slowdown=6.0))
    (plain,) = run_alone(fleet, model, node.name, (0, 4))
    (found,) = run_alone(replace(fleet, nodes=(paced,)), model, node.name, (0, 4))
    assert found.busy_seconds == found.compute_seconds
    assert found.compute_seconds > 2 * plain.compute_seconds


def test_a_stage_that_a_node_refuses_leaves_none_behind(fleet, model):
    class Refusing:
        """A node that loads a stage and then cannot find it."""

        def __init__(self, client):
            self._client = client

        def __getattr__(self, name):
            return getattr(self._client, name)

        def load_stage(self, load):
            return self._client.load_stage(replace(load, deployment="elsewhere"))

    node = fleet.nodes[0]
    client = node.client
    with pytest.raises(NodeError):
        run_alone(replace(fleet, nodes=(replace(node, client=Refusing(client)),)), model, node.name, (0, 1))
    client.unload_stage("elsewhere")
    assert n_stages(fleet) == 0


def test_the_front_stands_still_when_all_its_stages_were_run(fleet, model, cost_model, monkeypatch):
    monkeypatch.setattr("coordinator.correcting.TRIAL_SECONDS", (0.1, 0.2))
    profile, result, correction = correct_front(fleet, model, cost_model, SearchWish(), budget_seconds=100)
    assert correction.is_settled
    assert not untried_stages(profile, result.front)
    assert "stands still" in correction.describe()
    n_trials = sum(len(device.trials) for device in profile.devices)
    assert n_trials == correction.n_stages > 0
    again = correct_front(fleet, model, replace(cost_model, profile=profile), SearchWish(), budget_seconds=40)
    assert again[2].n_stages == 0
    assert again[1].front == result.front


def test_a_budget_that_is_spent_is_told(fleet, model, cost_model):
    profile, _, correction = correct_front(fleet, model, cost_model, SearchWish(), budget_seconds=0.0)
    assert profile == cost_model.profile
    assert not correction.is_settled
    assert correction.n_stages == 0
    assert correction.n_untried > 0
    assert "--correct-seconds" in correction.describe()


def test_stages_that_most_plans_share_come_first(fleet, model, cost_model):
    first, second = (node.name for node in fleet.nodes)
    n_units = model.graph.n_units
    front = [
        cost_model.candidate((Stage(device=second, start=0, stop=n_units),)),
        *(
            cost_model.candidate(
                (Stage(device=first, start=0, stop=stop), Stage(device=second, start=stop, stop=n_units))
            )
            for stop in (2, 2, 3)
        ),
    ]
    companies = companies_to_try(cost_model.profile, front, fleet.places)
    assert companies[0].stages in (((first, (0, 2)),), ((first, (0, 2)), (second, (2, n_units))))
    tried = [stage for company in companies for stage in company.stages]
    assert set(tried) == {
        (first, (0, 2)),
        (second, (2, n_units)),
        (second, (0, n_units)),
        (first, (0, 3)),
        (second, (3, n_units)),
    }
    known = with_trials(cost_model.profile, {first: (trial(0, 2),)})
    assert (first, (0, 2)) not in untried_stages(known, front)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0, 9.0, 1000.0])
def test_trials_keep_within_their_budget(seconds):
    companies = [Company(groups=((("pi", (0, stop)),),), rest_seconds=0.0) for stop in range(1, 30)]
    chosen, each = within_budget(companies, seconds)
    assert chosen == companies[: len(chosen)]
    if chosen:
        assert TRIAL_SECONDS[0] <= each <= TRIAL_SECONDS[1]
        assert len(chosen) * each <= seconds
    else:
        assert seconds < 1


def test_a_newer_trial_takes_the_place_of_an_older_one():
    devices = tuple(
        DeviceProfile(device=name, segments=(), runtime="", trials=(trial(0, 2), trial(2, 4))) for name in ("pi", "gpu")
    )
    profile = Profile(model_sha256="0", batch=1, n_units=4, devices=devices)
    newer = with_trials(profile, {"pi": (trial(2, 4, memory_bytes=7), trial(0, 1))})
    assert [(one.start, one.stop, one.memory_bytes) for one in newer.devices[0].trials] == [
        (0, 1, 0),
        (0, 2, 0),
        (2, 4, 7),
    ]
    assert newer.devices[1] == profile.devices[1]
