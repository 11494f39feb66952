"""A profile alone: spans beside sums of units, the picture, and the table of what profiling took."""

from dataclasses import replace
from typing import Any

import pytest
from report_sample import N_UNITS, sample_graph, sample_profile
from rich.console import Console

from coordinator.report import profile_drawing
from coordinator.report.profile_figure import unit_figure
from coordinator.report.profiling_table import profiling_table
from coordinator.report.span_figure import span_figure
from coordinator.report.span_points import PREFIX, SEGMENT, SUFFIX, WHOLE, span_points
from coordinator.report.write import write_times
from partitioner.profile import DeviceProfile, Profile, SegmentTiming


def timing(start: int, stop: int, seconds: float, **changes: Any) -> SegmentTiming:
    return SegmentTiming(
        **{
            "start": start,
            "stop": stop,
            "seconds": seconds,
            "low_seconds": 0.9 * seconds,
            "high_seconds": 1.2 * seconds,
            "n_samples": 9,
            "session_seconds": 0.01,
            "memory_bytes": 1,
            **changes,
        }
    )


def device_of(*segments: SegmentTiming, **changes: Any) -> DeviceProfile:
    return DeviceProfile(device="pi-1", segments=segments, runtime="test", **changes)


def test_spans_stand_beside_the_sums_of_their_units() -> None:
    units = [timing(unit, unit + 1, 1.0 + unit) for unit in range(4)]
    spans = [timing(0, 4, 8.0), timing(0, 2, 2.0), timing(2, 4, 7.0), timing(1, 3, 4.0)]
    points = span_points(device_of(*units, *spans), 4)
    found = {point.timing.span: (point.kind, point.sum_seconds, point.share) for point in points}
    assert found == {
        (0, 4): (WHOLE, 10.0, 0.8),
        (0, 2): (PREFIX, 3.0, pytest.approx(2 / 3)),
        (2, 4): (SUFFIX, 7.0, 1.0),
        (1, 3): (SEGMENT, 5.0, 0.8),
    }
    assert [point.sum_seconds for point in points] == sorted(point.sum_seconds for point in points)


def test_a_span_over_a_unit_that_was_not_timed_alone_is_left_out() -> None:
    device = device_of(timing(0, 1, 1.0), timing(0, 2, 2.0), timing(0, 3, 3.0), timing(1, 2, 1.0))
    assert [point.timing.span for point in span_points(device, 3)] == [(0, 2)]
    assert span_points(device_of(), 3) == ()


def test_plotly_knows_every_property() -> None:
    plotly = pytest.importorskip("plotly.graph_objects")
    profile = sample_profile()
    empty = replace(profile, devices=(device_of(),))
    for figure in (unit_figure(sample_graph(None), profile, None), span_figure(profile), span_figure(empty)):
        plotly.Figure({"data": list(figure.traces), "layout": figure.layout})  # raises on an unknown one


def test_units_carry_their_intervals_and_no_plan_fades_any() -> None:
    figure = unit_figure(sample_graph(None), sample_profile(), None)
    bars: Any = figure.traces[0]
    assert len(set(bars["marker"]["color"])) == 1
    values, errors = bars["y"], bars["error_y"]
    assert errors["array"] == pytest.approx([0.05 * value for value in values])
    assert errors["arrayminus"] == pytest.approx([0.03 * value for value in values])
    assert "Dashed" not in figure.caption
    assert "the plan gives" not in figure.caption


def test_the_figure_of_spans_holds_each_device_and_kind() -> None:
    figure = span_figure(sample_profile())
    names = [trace["name"] for trace in figure.traces]
    assert names[0] == "sum of the units"
    assert {"pi-1: prefix", "pi-1: segment", "pi-1: whole model"} <= set(names)


@pytest.mark.parametrize("profile", [sample_profile(), replace(sample_profile(), devices=(device_of(),))])
def test_pictures_are_written_for_any_profile(profile: Profile, tmp_path: Any) -> None:
    drawn = write_times(sample_graph(None), profile, tmp_path / "figures")
    assert [path.name for path in drawn] == ["times.png", "times.svg", "times.html"]
    assert all(path.stat().st_size > 1000 for path in drawn)
    assert "mathdefault" not in drawn[1].read_text()


def test_equal_profiles_give_equal_pictures(tmp_path: Any) -> None:
    first, second = (
        profile_drawing.draw_times(sample_graph(None), sample_profile(), tmp_path / name) for name in ("a.svg", "b.svg")
    )
    assert first.read_bytes() == second.read_bytes()


def test_the_table_says_what_profiling_took_and_how_clear_it_is() -> None:
    device = device_of(
        timing(0, 1, 1e-3, is_tight=True, coefficient_of_variation=0.01),
        timing(1, 2, 2e-3, is_cached=True, coefficient_of_variation=0.25),
        timing(0, 2, 3e-3, is_tight=True, is_cached=True),
        seconds=12.5,
        session_seconds=3.25,
        sending_seconds=0.5,
    )
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    profile = Profile(model_sha256="0" * 64, batch=1, n_units=2, devices=(device, replace(device, segments=())))
    with console.file:
        console.print(profiling_table(profile))
    first, empty = [line.split() for line in console.export_text().splitlines() if "pi-1" in line]
    assert first == ["pi-1", "12.5", "s", "3.25", "s", "500", "ms", "3", "2", "2", "1:2,", "2.00", "ms", "±", "25", "%"]
    assert empty[-4:] == ["0", "0", "0", "–"]


def test_profiles_of_older_versions_have_zeros() -> None:
    (device, *_) = sample_profile().devices
    assert (device.seconds, device.session_seconds, device.n_tight, device.n_cached) == (0.0, 0.0, 0, 0)
    assert len(device.segments) == N_UNITS + 3
