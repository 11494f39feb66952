import pytest

from coordinator.config import parse_cluster
from coordinator.errors import ConfigError
from coordinator.nodes import hosts_of

FINGERPRINT = f"SHA256:{'a' * 43}"


def cluster(ssh: object, **more: object):
    node = {"name": "pi-1", "address": "192.168.1.11:50051", "ssh": ssh, **more}
    return parse_cluster({"name": "c", "nodes": [node], "security": {"plaintext": True}})


def test_a_user_is_enough() -> None:
    (host,) = hosts_of(cluster({"user": "pi"}))
    assert (host.ssh.host, host.ssh.port, host.ssh.user) == ("192.168.1.11", 22, "pi")
    assert (host.agent.port, host.agent.is_loopback, host.scope) == (50051, False, "auto")
    assert host.agent.tls.allows_plaintext


def test_all_that_can_be_said() -> None:
    jump = {"host": "gate.example.org", "user": "me", "fingerprint": FINGERPRINT}
    ssh = {"host": "10.0.0.5", "port": 2222, "user": "pi", "fingerprint": FINGERPRINT, "jump": jump, "gpu": True}
    more = {"optimisation": "basic", "memory": "1GiB", "limits": {"trial": "1min"}}
    (host,) = hosts_of(cluster(ssh, cores=[0, 1], cpu_quota=1.5, **more))
    assert host.ssh.host == "10.0.0.5"
    assert host.jump is not None
    assert host.jump.host == "gate.example.org"
    assert (host.agent.cores, host.agent.cpu_quota, host.agent.memory_bytes) == ((0, 1), 1.5, 2**30)
    assert host.agent.limits == ("--trial-seconds=60.0",)
    assert host.agent.has_gpu


@pytest.mark.parametrize(
    ("ssh", "words"),
    [
        ({"fingerprint": "aa:bb:cc"}, "wanted SHA256:"),
        ({"host": "pi@10.0.0.5"}, "without user and port"),
        ({"user": "a b; reboot"}, "wanted the name of a user"),
        ({"password": "canary"}, "is not known here"),
        ({"key": "/no/such/key"}, "no readable file"),
        ({"scope": "everything"}, "'auto', 'system' or 'user'"),
        ({"folder": "relative"}, "should match"),
        ({"folder": "/x; rm -rf /"}, "should match"),
        ({"jump": {"user": "me"}}, "is missing"),
    ],
)
def test_what_makes_no_sense_is_refused(ssh, words) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        cluster(ssh)
    assert "canary" not in str(caught.value)


def test_a_local_node_has_no_ssh() -> None:
    with pytest.raises(ConfigError, match="is for nodes with an address"):
        parse_cluster({"name": "c", "nodes": [{"name": "a", "local": True, "ssh": {"user": "pi"}}]})


def test_names_that_are_unknown_or_not_reached_over_ssh_are_told() -> None:
    config = cluster({"user": "pi"})
    with pytest.raises(ConfigError, match="did you mean 'pi-1'"):
        hosts_of(config, ["pi-11"])
    bare = parse_cluster({"name": "c", "nodes": [{"name": "a", "local": True}]})
    with pytest.raises(ConfigError, match="no ssh section"):
        hosts_of(bare, ["a"])
    with pytest.raises(ConfigError, match="no node has an ssh section"):
        hosts_of(bare)
