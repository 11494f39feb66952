import re
from pathlib import Path

import pytest

from deploy.errors import NoTestbedError
from deploy.testbed import aarch64, missing_needs, running_testbed
from deploy.testbed.machine import fingerprint_of, make_key
from deploy.testbed.needs import PROGRAMS, program
from deploy.testbed.place import Place

ROOT = Path(__file__).parents[2]


def test_places_share_nothing() -> None:
    one, other = Place(number=0), Place(number=15)
    assert not one.network.overlaps(other.network)
    assert one.network.is_private
    assert other.network.is_private
    assert {one.namespace, one.interface, one.folder}.isdisjoint({other.namespace, other.interface, other.folder})
    assert len(other.interface) <= 15, "the kernel takes no longer names"
    assert len({one.own_address, *map(one.host_address, range(16))}) == 17


def test_what_is_missing_is_said_with_its_remedy(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (line,) = (line for line in missing_needs() if "no " in line and "make testbed" in line)
    assert "no user-mode-linux" in line
    assert "apt-get install" in line
    with pytest.raises(NoTestbedError, match="make testbed"), running_testbed(1):
        pass


def test_make_testbed_installs_what_is_needed() -> None:
    recipe = re.search(r"^testbed:.*?(?=^\.PHONY)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE | re.DOTALL)
    installed = dict(re.findall(r"need (\S+) (\S+)", recipe[0]))
    assert installed == PROGRAMS | aarch64.PROGRAMS


@pytest.mark.skipif(program("ssh-keygen") is None, reason="there is no ssh-keygen: make system")
def test_fingerprints_are_those_of_ssh_keygen(tmp_path) -> None:
    import subprocess

    make_key(tmp_path / "key")
    said = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True
    ).stdout
    assert fingerprint_of(tmp_path / "key") == said.split()[1]
