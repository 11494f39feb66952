"""`conditions.yaml`."""

from pathlib import Path

import pytest

from coordinator.config import load_conditions
from coordinator.config.sweep_file import load_sweep
from coordinator.errors import ConfigError
from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.search.robust.network import LinkCondition, NetworkCondition

PLACES = ("pi-1", "pi-2", CLIENT)
CLUSTER = Cluster(
    name="kitchen",
    devices=tuple(Device(name=name, memory_bytes=1) for name in PLACES[:2]),
    links=tuple(
        Link(source=one, target=two, fixed_seconds=0.01, bytes_per_second=1e6)
        for one in PLACES
        for two in PLACES
        if one != two and (one, two) != ("pi-2", "pi-1")
    ),
)


def load(text: str, tmp_path: Path) -> tuple[NetworkCondition, ...]:
    path = tmp_path / "conditions.yaml"
    path.write_text(text)
    return load_conditions(path, CLUSTER)


def faults_of(text: str, tmp_path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert "conditions.yaml has " in str(caught.value)
    return caught.value.faults


def test_factors_and_quantities_are_read_into_si_units(tmp_path: Path) -> None:
    evening, radio = load(
        """
conditions:
  - name: evening
    default: {rate: 0.3x, delay: 2x}
  - name: radio
    default: {loss: 0.1%}
    between:
      - {from: pi-1, to: pi-2, rate: 8mbit, delay: 20ms, jitter: 5ms}
      - {from: client, to: pi-1, both: false, delay: 0, loss: 2%}
""",
        tmp_path,
    )
    assert evening == NetworkCondition(name="evening", every_link=LinkCondition(rate_factor=0.3, delay_factor=2.0))
    assert radio.every_link == LinkCondition(loss=pytest.approx(0.001))
    assert radio.links == {  # the cluster has no way back from pi-2 to pi-1
        ("pi-1", "pi-2"): LinkCondition(bytes_per_second=1e6, delay_seconds=0.02, jitter_seconds=0.005),
        (CLIENT, "pi-1"): LinkCondition(delay_seconds=0.0, loss=0.02),
    }


def test_all_faults_are_reported_at_once_with_path_and_line(tmp_path: Path) -> None:
    faults = faults_of(
        """
conditions:
  - name: evening
    default: {rate: 0.3, delay: 2y, los: 1%}
  - name: evening
    between:
      - {from: pi-1, to: pi-3, rate: 10mbit}
      - {from: pi-1, to: pi-2}
      - {from: pi-2, to: pi-1, rate: unlimited}
      - {from: pi-2, to: pi-1, both: false, rate: 0x}
  - name: nothing
  - name: probed
    default: {jitter: 1ms}
""",
        tmp_path,
    )
    wanted = (
        ("conditions[0].default.delay (line 4)", "write 5ms or 0.2s, or a factor such as 0.3x"),
        ("conditions[0].default.los (line 4)", "did you mean 'loss'?"),
        ("conditions[0].default.rate (line 4)", "0.3 is not a rate with its unit"),
        ("conditions[1].name (line 5)", "'evening' is already that of conditions[0]"),
        ("conditions[1].between[0].to (line 7)", "there is no node 'pi-3'"),
        ("conditions[1].between[1] (line 8)", "says nothing: wanted delay, jitter, rate or loss"),
        ("conditions[1].between[2] (line 9)", "says again what conditions[1].between[1] says"),
        ("conditions[1].between[2].rate (line 9)", "'unlimited' is no condition"),
        ("conditions[1].between[3] (line 10)", "no link from 'pi-2' to 'pi-1'"),
        ("conditions[1].between[3] (line 10)", "says again"),
        ("conditions[1].between[3].rate (line 10)", "'0x' is out of range for a factor"),
        ("conditions[2] (line 11)", "changes nothing: wanted default, between or both"),
        ("conditions[3].name (line 12)", "'probed' is already what the links are as probed"),
    )
    for where, what in wanted:
        assert [fault for fault in faults if fault.startswith(f"{where}: ") and what in fault], (where, faults)
    assert len(faults) == len(wanted)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the file"),
        ("conditions: []", "is an empty list"),
        ("conditions: 3", "wanted a list"),
        ("conditions: [{name: a, default: 3}]", "wanted a mapping"),
        ("conditions: [{name: a, between: [3]}]", "wanted a mapping"),
        ("conditions: [{name: a b, default: {loss: 1%}}]", "'a b' is not a name"),
    ],
)
def test_other_shapes_are_refused_in_words(text: str, fault: str, tmp_path: Path) -> None:
    assert any(fault in one for one in faults_of(text, tmp_path))


def test_a_missing_file_says_where_to_find_one(tmp_path):
    with pytest.raises(ConfigError, match="no such file: `splitfront robust --help` shows one"):
        load_conditions(tmp_path / "none.yaml", CLUSTER)
    with pytest.raises(ConfigError, match="no such file: `splitfront init --sweep` writes an example"):
        load_sweep(tmp_path / "none.yaml")
