"""Recorded bandwidth traces."""

from pathlib import Path

import pytest

from coordinator.config.bandwidth_trace import RecordedStep, load_trace, mean_delay, mean_rate, parse_trace
from coordinator.config.sweep_file import load_sweep
from coordinator.errors import ConfigError
from coordinator.sweep.applying import apply_to
from node_agent.messages import LinkStep
from partitioner.cluster import Cluster, Device, Link

TRACE = "seconds,rate,delay\n0,8mbit,20ms\n1.5, 800kbit, 0.1s\n2,16mbit,10ms\n"


def test_rows_last_until_the_next_and_the_last_as_the_one_before() -> None:
    steps = parse_trace(TRACE, source="trace.csv")
    assert steps == (
        RecordedStep(seconds=1.5, bytes_per_second=1e6, delay_seconds=0.02),
        RecordedStep(seconds=0.5, bytes_per_second=1e5, delay_seconds=0.1),
        RecordedStep(seconds=0.5, bytes_per_second=2e6, delay_seconds=0.01),
    )
    assert mean_rate(steps) == pytest.approx((1.5e6 + 0.5e5 + 1e6) / 2.5)
    assert mean_delay(steps) == pytest.approx((0.03 + 0.05 + 0.005) / 2.5)
    lone = parse_trace("seconds,rate\n0,8mbit\n", source="trace.csv")
    assert (mean_rate(lone), mean_delay(lone)) == (1e6, None)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE, encoding="utf-8-sig")
    assert load_trace(path) == parse_trace(TRACE, source="trace.csv")


def test_all_faults_are_told_with_their_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_trace("seconds,rate\n1,8mbit\n2,fast\n3\n2.5,8mbit\nnan,1mbit\n", source="trace.csv")
    told = caught.value.faults
    for start in ("line 2: wanted 0 seconds", "line 3: 'fast' is not a rate", "line 4: wanted 2 values, got 1"):
        assert any(fault.startswith(start) for fault in told), (start, told)
    assert any(fault.startswith("line 6: wanted a moment") for fault in told)
    for text in ("", "time,rate\n0,8mbit\n", "seconds,rate\n"):
        with pytest.raises(ConfigError):
            parse_trace(text, source="trace.csv")


def test_links_follow_the_trace_but_those_with_a_rate_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "drive.csv").write_text(
        TRACE.replace(",delay", "").replace(",20ms", "").replace(", 0.1s", "").replace(",10ms", "")
    )
    (tmp_path / "sweep.yaml").write_text("""
name: s
models: [resnet18]
clusters: [{local: 2}]
conditions:
  - name: drive
    trace: drive.csv
    default: {delay: 30ms}
    between: [{from: local-1, to: local-2, both: false, rate: 4mbit}]
plans: [all]
""")
    file = load_sweep(tmp_path / "sweep.yaml")
    (condition,) = file.conditions(file.clusters[0].config)
    assert condition.every_link.bytes_per_second == pytest.approx(2.55e6 / 2.5)
    assert len(file.spec["traces"]["drive"]) == 3
    ways = (("local-1", "local-2"), ("local-2", "local-1"))
    bare = Cluster(
        name="local-2",
        devices=tuple(Device(name=name, memory_bytes=1) for name in ways[0]),
        links=tuple(Link(source=one, target=two, fixed_seconds=0.001, bytes_per_second=1e8) for one, two in ways),
    )
    applied = apply_to(file.clusters[0].config, bare, condition, plane="grpc", trace=file.traces["drive"])
    there, back = (applied.config.link_emulation(*way) for way in ways)
    assert (there.steps, there.bytes_per_second, there.delay_seconds) == ((), 5e5, 0.03)
    assert back.steps[1] == LinkStep(seconds=0.5, bytes_per_second=1e5, delay_seconds=0.03)
    assert applied.cluster.link_of[ways[1]].fixed_seconds == pytest.approx(0.031)
    assert "by a trace of 3 steps" in applied.cluster.link_of[ways[1]].emulation


def test_a_wrong_trace_is_a_fault_of_its_condition(tmp_path: Path) -> None:
    (tmp_path / "drive.csv").write_text("seconds,rate\n0,8\n")
    (tmp_path / "sweep.yaml").write_text(
        "name: s\nmodels: [resnet18]\nclusters: [{local: 2}]\nconditions: [{name: d, trace: drive.csv}]\nplans: [all]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_sweep(tmp_path / "sweep.yaml")
    assert caught.value.faults[0].startswith("conditions[0].trace (line 4): its file: line 2: '8' is not a rate")
