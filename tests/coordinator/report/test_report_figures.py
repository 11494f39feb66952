"""The interactive figures, as plain values: nothing is dropped, and plotly accepts every word of them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from report_sample import N_UNITS, predicted_run, sample_run, unit_seconds, unsplit_run

from coordinator.measurement import Estimate, Measurement
from coordinator.report.axes import nice_ticks, scale_for
from coordinator.report.busy_figure import busy_figure
from coordinator.report.figure import Figure
from coordinator.report.front_figure import front_figure
from coordinator.report.front_points import front_points
from coordinator.report.profile_figure import profile_figure
from coordinator.report.resources import lanes, resources
from coordinator.report.run import Run
from coordinator.report.timeline_figure import timeline_figure
from partitioner.plan import SharedCost

RUNS = (sample_run, predicted_run, unsplit_run)


@pytest.mark.parametrize("make", RUNS)
def test_plotly_knows_every_property(make: Any) -> None:
    plotly = pytest.importorskip("plotly.graph_objects")
    run = make()
    timeline = timeline_figure(run.measurement) if run.measurement else None
    for figure in filter(None, (front_figure(run), timeline, busy_figure(run), profile_figure(run))):
        plotly.Figure({"data": list(figure.traces), "layout": figure.layout})  # raises on an unknown one


def test_the_front_figure_holds_every_point() -> None:
    run = sample_run()
    figure = front_figure(run)
    front = trace(figure, "front, predicted")
    assert front["x"] == [one.cost.latency_seconds * 1e3 for one in run.search.front]
    assert front["y"] == [one.cost.throughput_per_second for one in run.search.front]
    assert len(trace(figure, "dominated (sample of 152)")["x"]) == len(run.search.dominated) == 152
    assert len(trace(figure, "one device, predicted")["x"]) == 3
    assert len(trace(figure, "one device, measured")["x"]) == 3
    assert len(trace(figure, "measured, 95 % interval")["x"]) == 3
    assert trace(figure, "chosen")["x"] == [run.chosen.cost.latency_seconds * 1e3]
    assert run.knee is not None
    assert trace(figure, "knee")["y"] == [run.knee.cost.throughput_per_second]


def test_the_front_is_drawn_as_what_can_be_reached() -> None:
    assert trace(front_figure(sample_run()), "front, predicted")["line"]["shape"] == "hv"


def test_each_measurement_is_joined_to_its_prediction() -> None:
    run = sample_run()
    joins = trace(front_figure(run), "prediction to measurement")
    assert len(joins["x"]) == 3 * len(run.measured_plans)
    for place, plan in enumerate(run.measured_plans):
        ends = joins["x"][3 * place : 3 * place + 3]
        assert ends == [plan.predicted.latency_seconds * 1e3, plan.latency_seconds.p50.value * 1e3, None]


def test_error_bars_end_where_the_interval_does_and_leave_out_infinite_ends() -> None:
    run = sample_run()
    assert run.measurement is not None
    open_end = Estimate(value=58.0, low=50.0, high=math.inf)
    figure = front_figure(replace(run, measurement=replace(run.measurement, throughput_per_second=open_end)))
    bars = trace(figure, "measured, 95 % interval")
    assert bars["error_y"]["array"][0] is None
    assert bars["error_y"]["arrayminus"][0] == pytest.approx(8.0)
    low = bars["x"][0] - bars["error_x"]["arrayminus"][0]
    assert low == pytest.approx(run.measurement.latency_seconds.p50.low * 1e3)


def test_hover_tells_plan_cuts_devices_bytes_and_figures() -> None:
    hover = trace(front_figure(sample_run()), "chosen")["hovertext"][0]
    for part in ("chosen (front 7)", "90.1 ms, 59.8 /s", "busiest: pi-2 → server, 16.7 ms", "pi-1: 9 units"):
        assert part in hover
    assert "↓ 392 KiB after features.8.conv.2" in hover


def test_a_chosen_plan_outside_the_front_is_still_marked() -> None:
    run = sample_run()
    other = replace(run, chosen=run.search.dominated[0])
    chosen = trace(front_figure(other), "chosen")
    assert chosen["x"] == [run.search.dominated[0].cost.latency_seconds * 1e3]
    assert front_points(other).chosen.label == "chosen"


def test_a_device_that_is_far_slower_is_named_beside_the_view_and_stays_in_the_data() -> None:
    run = with_baseline_latency(4.0)
    figure = front_figure(run)
    layout: Any = figure.layout
    assert layout["xaxis"]["range"][1] < 120
    assert 4000.0 in trace(figure, "one device, predicted")["x"]
    assert layout["annotations"][1]["text"] == "pi-1 alone: 69.9 ms, 18.8 /s ↘"
    assert len(front_figure(sample_run()).layout["annotations"]) == 1  # type: ignore[arg-type]


def test_axes_turn_logarithmic_when_linear_ones_would_hide_the_small() -> None:
    run = sample_run()
    first = run.search.front[0]
    fast = replace(first, cost=replace(first.cost, latency_seconds=0.002))
    layout: Any = front_figure(replace(run, search=replace(run.search, front=(fast, *run.search.front[1:])))).layout
    assert layout["xaxis"]["type"] == "log"
    low, high = layout["xaxis"]["range"]
    assert 10**low < 2.0
    assert 10**high > 94.0
    assert "type" not in layout["yaxis"]


def test_scales() -> None:
    linear = scale_for([10.0, 20.0])
    assert (linear.is_logarithmic, linear.low) == (False, pytest.approx(8.8))
    assert scale_for([5.0]).low < 5.0 < scale_for([5.0]).high
    assert scale_for([]).high == 1.0
    assert nice_ticks(scale_for([1.0, 100.0])) == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def test_the_time_line_has_every_span_in_the_lane_order_of_the_flow() -> None:
    measurement = measurement_of(sample_run())
    figure = timeline_figure(measurement)
    assert figure is not None
    assert sum(len(one["x"]) for one in traces(figure)) == len(measurement.spans)
    layout: Any = figure.layout
    assert layout["yaxis"]["categoryarray"] == [
        "client → pi-1",
        "pi-1",
        "pi-1 → pi-2",
        "pi-2",
        "pi-2 → server",
        "server",
        "server → client",
    ]
    compute = trace(figure, "compute")
    first = next(span for span in measurement.spans if span.what == "compute")
    assert compute["base"][0] == pytest.approx(first.start_seconds * 1e3)
    assert compute["x"][0] == pytest.approx((first.stop_seconds - first.start_seconds) * 1e3)


def test_a_span_of_an_unknown_lane_and_kind_is_drawn_too() -> None:
    measurement = measurement_of(sample_run())
    odd = replace(measurement.spans[0], lane="device:other", what="waiting")
    figure = timeline_figure(replace(measurement, spans=(*measurement.spans, odd)))
    assert figure is not None
    assert trace(figure, "waiting")["y"] == ["other"]
    assert timeline_figure(replace(measurement, spans=())) is None


def test_resources_are_predicted_and_measured_in_flow_order() -> None:
    run = sample_run()
    found = resources(run)
    assert [one.name for one in found] == list(lanes(run.chosen.plan))
    assert [one.name for one in found if one.is_measured_bottleneck] == ["link:pi-2->server"]
    cost, stages = run.chosen.cost, measurement_of(run).stages
    assert found[0].predicted_seconds == cost.hops[0].busy_seconds
    assert found[0].measured_seconds == measurement_of(run).input_send_seconds
    assert [one.measured_seconds for one in found[1::2]] == [stage.compute_seconds for stage in stages]
    assert [one.measured_seconds for one in found[2::2]] == [stage.send_seconds for stage in stages]
    assert max(one.predicted_seconds for one in found) == cost.bottleneck_seconds


def test_a_shared_medium_is_a_resource_of_its_own() -> None:
    run = sample_run()
    cost, measurement = run.chosen.cost, measurement_of(run)
    first, second, *others = cost.hops
    on_air = (replace(hop, media=(SharedCost(name="air", busy_seconds=hop.busy_seconds),)) for hop in (first, second))
    shared = replace(cost, hops=(*on_air, *others), bottleneck_resource="medium:air")
    chosen = replace(run.chosen, cost=shared)
    real = replace(run.cluster, links=tuple(replace(link, emulation=None) for link in run.cluster.links))
    air = resources(replace(run, chosen=chosen, cluster=real))[-1]
    assert (air.label, air.is_predicted_bottleneck) == ("air (shared)", True)
    assert air.predicted_seconds == first.busy_seconds + second.busy_seconds
    assert air.measured_seconds == measurement.input_send_seconds + measurement.stages[0].send_seconds
    emulated = replace(run.cluster, links=tuple(replace(link, emulation="waits") for link in run.cluster.links))
    assert resources(replace(run, chosen=chosen, cluster=emulated))[-1].measured_seconds is None


def test_cores_that_devices_share_are_a_resource_of_their_own() -> None:
    run = sample_run()
    cost, measurement = run.chosen.cost, measurement_of(run)
    on = (SharedCost(name="pi-1+pi-2", busy_seconds=0.5 * stage.busy_seconds) for stage in cost.stages)
    stages = (replace(stage, processors=(host,)) for stage, host in zip(cost.stages, on, strict=True))
    shared = replace(cost, stages=tuple(stages), bottleneck_resource="processor:pi-1+pi-2")
    cores = resources(replace(run, chosen=replace(run.chosen, cost=shared)))[-1]
    assert (cores.label, cores.is_predicted_bottleneck) == ("cores of pi-1, pi-2", True)
    assert cores.predicted_seconds == pytest.approx(0.5 * sum(stage.busy_seconds for stage in cost.stages))
    alone = [stage.unloaded_compute_seconds.value for stage in measurement.stages if stage.unloaded_compute_seconds]
    assert cores.measured_seconds == pytest.approx(0.5 * sum(alone))


def test_busy_bars_mark_the_bottleneck_and_say_who_said_so() -> None:
    run = sample_run()
    labels = trace(busy_figure(run), "measured")["y"]
    assert labels[4] == "<b>pi-2 → server</b><br>bottleneck"
    other = replace(measurement_of(run).bottleneck, resource="device:pi-1")
    labels = trace(busy_figure(replace(run, measurement=replace(measurement_of(run), bottleneck=other))), "measured")[
        "y"
    ]
    assert labels[1] == "<b>pi-1</b><br>bottleneck"
    assert labels[4] == "pi-2 → server<br>predicted bottleneck"


def test_the_profile_shows_units_alone_and_boundaries_at_every_position() -> None:
    run = sample_run()
    figure = profile_figure(run)
    assert trace(figure, "pi-2")["y"] == pytest.approx([4.0 * unit_seconds(unit) * 1e3 for unit in range(N_UNITS)])
    boundary = trace(figure, "boundary")
    assert len(boundary["x"]) == N_UNITS + 1
    assert boundary["y"][0] * 2**20 == 4 * 3 * 224 * 224
    layout: Any = figure.layout
    assert {shape["x0"] for shape in layout["shapes"]} == {8.5, 15.5}
    assert "act.0" in boundary["hovertext"][1]


def test_units_that_were_not_measured_alone_leave_gaps_and_are_counted() -> None:
    run = sample_run()
    assert run.profile is not None
    thinned = replace(run.profile.devices[0], segments=run.profile.devices[0].segments[::2])
    figure = profile_figure(replace(run, profile=replace(run.profile, devices=(thinned,))))
    assert trace(figure, "pi-1")["y"][1] is None
    layout: Any = figure.layout
    assert "20 of 40 units measured alone" in layout["annotations"][0]["text"]


def test_without_a_profile_only_boundaries_are_drawn() -> None:
    assert [one["name"] for one in traces(profile_figure(predicted_run()))] == ["boundary"]


def traces(figure: Figure) -> Sequence[Any]:
    return figure.traces


def trace(figure: Figure, name: str) -> Any:
    found = [one for one in traces(figure) if one["name"] == name and one["x"] != [None]]
    assert len(found) == 1, [one["name"] for one in traces(figure)]
    return found[0]


def with_baseline_latency(seconds: float) -> Run:
    run = sample_run()
    measured = measurement_of(run)
    slow = replace(measured.baselines[0], predicted=replace(measured.predicted, latency_seconds=seconds))
    return replace(run, measurement=replace(measured, baselines=(slow, *measured.baselines[1:])))


def measurement_of(run: Run) -> Measurement:
    assert run.measurement is not None
    return run.measurement
