"""A sweep's values as points, fronts, maps, regrets and words."""

from dataclasses import replace

import pytest
from sweep_sample import NETWORKS, boundary_bytes, grid_series, sample_sweep, usual_series, usual_sweep

from coordinator.report.sweep import wording
from coordinator.report.sweep.crossover_figure import map_grid
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.series import SweepSeries
from coordinator.report.sweep.styles import faulty_words
from partitioner.front import is_dominated


@pytest.fixture(scope="module")
def usual() -> SweepSeries:
    return usual_series()


def test_every_case_and_every_attempt_is_there(usual: SweepSeries) -> None:
    sweep, runs = usual_sweep()
    assert sum(len(setting.points) for setting in usual.settings) == len(sweep.cases)
    assert len(usual.runs) == len(runs)
    assert [setting.name for setting in usual.settings] == ["mobilenet_v2", "resnet18"]


def test_fronts_are_those_of_the_figures_and_have_probabilities(usual: SweepSeries) -> None:
    for setting in usual.settings:
        for condition in setting.conditions:
            whole = [point for point in condition.points if point.latency and point.throughput]
            costs = [(one.latency.value, 1 / one.throughput.value) for one in whole if one.latency and one.throughput]
            assert [point.is_on_front for point in whole] == [not beaten for beaten in is_dominated(costs)]
            assert all(0 <= (point.front_probability or 0) <= 1 for point in whole)
            assert sum(point.is_knee for point in whole) == 1
            for point in whole:
                assert point.latency is not None
                assert point.latency.low <= point.latency.value <= point.latency.high


def test_invalid_and_failed_attempts_count_in_no_figure_and_are_never_hidden(usual: SweepSeries) -> None:
    sweep, runs = sample_sweep(models=["vgg16"], networks=NETWORKS[3:5], n_samples=3)
    alone = read_sweep(sweep, [run for run in runs if run.state == "done"])
    for setting, clean in zip(read_sweep(sweep, runs).settings, alone.settings, strict=True):
        for point, other in zip(setting.points, clean.points, strict=True):
            assert (point.latency, point.throughput) == (other.latency, other.throughput)
    _, runs = usual_sweep()
    n_lost = sum(run.state != "done" for run in runs)
    told = wording.count_sentence(usual)
    assert sum(n for _, n in wording.reason_counts(usual)) == n_lost
    assert "6 planned runs have no figures" in told
    poor = usual.settings[0].conditions[-1]
    assert "no figures of split 3" in faulty_words(poor.points)


def test_what_a_plan_costs_elsewhere_is_its_regret(usual: SweepSeries) -> None:
    latency = usual.settings[0].regrets[0]
    by_plan = {row.plan: row for row in latency.plans}
    assert by_plan["split 3"].regrets[-1] is None, "it was never measured there"
    assert by_plan["split 3"].worst is None
    for column in range(len(latency.conditions)):
        told = [row.regrets[column] for row in latency.plans if row.regrets[column] is not None]
        assert min(told) == 0
    worst = {plan: row.worst for plan, row in by_plan.items() if row.worst is not None}
    assert worst[latency.minimax] == min(worst.values())


def test_the_map_is_a_grid_where_conditions_are() -> None:
    setting = grid_series().settings[0]
    grid = map_grid(setting.maps[0])
    assert grid is not None
    assert (len(grid.round_trips), len(grid.rates)) == (3, 4)
    assert {cell.plan for cell in grid.rows[-1]} == {"whole model on pi-1"}, "far away nothing is worth sending"
    assert map_grid(usual_series().settings[0].maps[0]) is None


def test_not_to_split_is_recommended_where_it_wins() -> None:
    slow = [replace(NETWORKS[-1], name=f"far {delay}", delay_seconds=delay) for delay in (0.5, 1.0)]
    alone = [replace(network, bytes_per_second=20e3) for network in slow]
    found = read_sweep(*sample_sweep(models=["mobilenet_v2"], networks=alone)).settings[0].recommendation
    assert found.headline.startswith("Do not split. Run the whole model on pi-1: under all 2 conditions")
    assert found.plan == "whole model on pi-1"


def test_a_network_that_matters_is_said_to_matter(usual: SweepSeries) -> None:
    found = usual.settings[0].recommendation
    assert found.headline == "What to run depends on the network."
    assert found.reasons[0].startswith(
        "Least latency: the whole model on pi-1 under lte, wifi-poor and paper-degraded;"
    )
    assert any(reason.startswith("If one plan must do under all 6 conditions:") for reason in found.reasons)


def told_of(sweep, runs) -> str:
    found = read_sweep(sweep, runs).settings[0].recommendation
    return " ".join((found.headline, *found.reasons))


@pytest.mark.parametrize(
    ("figure", "other", "scenario"),
    [("latency_seconds", "throughput", "single_stream"), ("throughput_per_second", "latency", "offline")],
)
def test_what_was_not_measured_is_not_spoken_of(figure: str, other: str, scenario: str) -> None:
    sweep, runs = sample_sweep(models=["mobilenet_v2"], networks=NETWORKS[:3], n_samples=6)
    half = [
        replace(
            run,
            figures={name: value for name, value in run.figures.items() if name == figure},
            samples=tuple(sample for sample in run.samples if sample.scenario == scenario),
        )
        for run in runs
    ]
    assert figure.partition("_")[0] in told_of(sweep, half)
    assert other not in told_of(sweep, half)


@pytest.mark.parametrize(
    ("lost", "where"), [(["5g"], "under 2 of 3 conditions"), (["5g", "wifi-good"], "under gigabit-lan")]
)
def test_only_conditions_with_figures_count_and_the_others_are_named(lost: list[str], where: str) -> None:
    sweep, runs = sample_sweep(models=["mobilenet_v2"], networks=NETWORKS[:3], n_samples=6)
    condition_of = {case.key: case.condition for case in sweep.cases}
    kept = [
        replace(run, state="invalid", reason="not in force", figures={}, samples=())
        if condition_of[run.case_key] in lost
        else run
        for run in runs
    ]
    told = told_of(sweep, kept)
    assert where in told
    assert "all 3 conditions" not in told
    (named,) = [part for part in told.split(".") if "Not counted, because figures are missing:" in part]
    assert all(name in named for name in lost)
    assert "Not counted" not in told_of(sweep, runs)


def test_planes_are_settings_of_their_own_and_predictions_stand_alone() -> None:
    sweep, runs = sample_sweep(models=["vgg16"], networks=NETWORKS[:2], planes=["grpc", "tcp"], n_samples=3)
    assert [setting.name for setting in read_sweep(sweep, runs).settings] == ["vgg16, grpc", "vgg16, tcp"]
    bare = [replace(run, figures={}, samples=(), links=()) for run in runs if run.state == "done"]
    predicted = read_sweep(sweep, bare).settings[0]
    assert predicted.is_predicted
    assert predicted.maps == ()
    assert "predicted" in predicted.recommendation.headline


def test_what_held_a_plan_back_is_told_with_what_its_link_lets_through() -> None:
    sweep, runs = sample_sweep(models=["mobilenet_v2"], networks=NETWORKS[-1:], n_samples=3)
    setting = read_sweep(sweep, runs).settings[0]
    cut = next(point for point in setting.points if point.plan == "split 6")
    assert cut.bottleneck is not None
    assert (cut.bottleneck.resource, cut.bottleneck.is_between_devices) == ("link:pi-1->server", True)
    assert cut.bottleneck.boundary_bytes == pytest.approx(boundary_bytes(6))
    assert cut.bottleneck.bytes_bound == pytest.approx(0.625e6 / boundary_bytes(6))
    assert cut.throughput is not None
    assert cut.bottleneck.best_share == pytest.approx(1.0, abs=0.1)
    whole = next(point for point in setting.points if point.plan == "whole model on pi-1")
    assert whole.bottleneck is not None
    assert (whole.bottleneck.resource, whole.bottleneck.bytes_bound) == ("device:pi-1", None)
    sent = next(point for point in setting.points if point.plan == "whole model on server")
    assert sent.bottleneck is not None
    assert sent.bottleneck.is_between_devices is False


def test_a_front_that_a_link_draws_together_is_said_to_be() -> None:
    slow = replace(NETWORKS[-1], name="slow", bytes_per_second=200e3)
    sweep, runs = sample_sweep(models=["mobilenet_v2"], networks=[NETWORKS[0], slow], n_samples=3)
    setting = read_sweep(sweep, runs).settings[0]
    found = {one.name: one.contraction for one in setting.conditions}
    told = {name: (one.is_link_bound, one.is_rest_link_bound) for name, one in found.items() if one and one.holds}
    assert told == {"slow": (False, True)}
    said = [reason for reason in setting.recommendation.reasons if "the front contracts to" in reason]
    assert len(said) == 1
    assert said[0].startswith("Under slow a link is the bottleneck of every split that sends more, and the front")
    silent = read_sweep(sweep, [replace(run, resources=()) for run in runs]).settings[0]
    assert all(one.contraction is None for one in silent.conditions)
    assert not any("contracts" in reason for reason in silent.recommendation.reasons)


def test_a_sweep_that_has_not_begun_is_read() -> None:
    sweep, _ = usual_sweep()
    series = read_sweep(sweep, [])
    assert series.settings[0].recommendation.plan == ""
    assert wording.count_sentence(series) == "None of 432 planned runs was measured."


def test_repeats_beyond_the_plan_are_counted_apart() -> None:
    sweep, runs = sample_sweep(models=["vgg16"], networks=NETWORKS[:1], n_samples=3)
    done = [run for run in runs if run.state == "done"]
    series = replace(read_sweep(sweep, done), n_planned=len(done) - 2)
    assert wording.count_sentence(series) == (
        f"{len(done) - 2:,} of {len(done) - 2:,} planned runs were measured; "
        "2 repeats were added because intervals were wide."
    )
