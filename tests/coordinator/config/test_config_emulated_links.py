"""Links that senders slow where a kernel cannot be told to: `emulated: true`."""

import pytest
from node_processes import running_agent

from coordinator.benching import describe_emulation
from coordinator.config import parse_cluster
from coordinator.errors import ConfigError
from coordinator.fleet import connect_fleet
from coordinator.link_probe import link_probe


def cluster(link, address="127.0.0.1:1", other="127.0.0.1:2"):
    nodes = [{"name": "a", "address": address}, {"name": "b", "address": other}]
    return {"name": "two", "nodes": nodes, "links": {"between": [{"from": "a", "to": "b", **link}]}}


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"delay": "20ms"}, "unless emulated: true has the sender wait"),
        ({"emulated": True}, "says not how: wanted delay, jitter, rate, loss"),
        ({"emulated": True, "forbidden": True, "delay": "20ms"}, "is forbidden"),
    ],
)
def test_what_makes_no_sense_is_refused(link, said):
    with pytest.raises(ConfigError, match=said):
        parse_cluster(cluster(link))


def test_real_agents_wait_as_they_are_told_and_a_result_says_so(tmp_path):
    with running_agent(tmp_path / "a") as first, running_agent(tmp_path / "b") as second:
        config = parse_cluster(cluster({"emulated": True, "delay": "30ms"}, first.address, second.address))
        with connect_fleet(config, run_dir=tmp_path / "run") as fleet:
            slow = link_probe(fleet, "a", "b")((100,), 3, 1)
            plain = link_probe(fleet, "client", "a")((100,), 3, 1)
            told = describe_emulation(fleet)
    assert min(sample.round_trip_seconds for sample in slow) >= 0.06
    assert min(sample.round_trip_seconds for sample in plain) < 0.03
    assert any("by the sender" in words for words in told.values()), told
