import pytest

from coordinator.config import load_cluster
from coordinator.errors import ConfigError
from coordinator.nodes import hosts_of
from coordinator.nodes.testbed_files import testbed_files as files_of  # not a test
from deploy.testbed import Testbed, TestbedHost


@pytest.fixture
def testbed(tmp_path):
    key = tmp_path / "key-of-testbed"
    key.write_text("a key")
    hosts = tuple(
        TestbedHost(name=f"host-{n}", address=f"10.83.100.{10 + n}", fingerprint=f"SHA256:{'A' * 43}") for n in (1, 2)
    )
    return Testbed(hosts=hosts, key=key, boot_seconds=2.0)


def test_the_cluster_file_leads_to_the_hosts_with_keys_and_mutual_tls(testbed, tmp_path) -> None:
    with files_of(testbed, tmp_path / "bed") as cluster:
        one, two = hosts_of(load_cluster(cluster))
        assert (one.name, one.address, one.ssh.user) == ("host-1", "10.83.100.11", "root")
        assert two.ssh.fingerprint == testbed.hosts[1].fingerprint
        assert one.agent.tls.is_mutual
        assert one.ssh.key.read_text() == "a key"
        assert one.ssh.key.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "bed").exists()


def test_what_a_person_has_in_the_folder_stays(testbed, tmp_path) -> None:
    (tmp_path / "notes").write_text("mine")
    with files_of(testbed, tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key-of-testbed", "notes"]
    (tmp_path / "cluster.yaml").write_text("name: lab\n")
    with pytest.raises(ConfigError, match="there already"), files_of(testbed, tmp_path):
        pass
    assert (tmp_path / "cluster.yaml").read_text() == "name: lab\n"


def test_files_of_a_testbed_that_was_killed_give_way(testbed, tmp_path) -> None:
    with files_of(testbed, tmp_path / "bed") as cluster:
        text = cluster.read_text()
        left = {path.name: path.read_bytes() for path in (tmp_path / "bed").iterdir() if path.is_file()}
    (tmp_path / "bed").mkdir()
    for name, content in left.items():
        (tmp_path / "bed" / name).write_bytes(content)
    with files_of(testbed, tmp_path / "bed") as cluster:
        assert cluster.read_text() == text
