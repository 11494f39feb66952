"""The steps as commands, in a folder of this machine: what they do is what planning says of them."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest
from deploy_builders import host
from fake_release import fake_wheels
from private_sshd import free_port

from deploy import operations
from deploy.apply import apply_steps
from deploy.errors import DeployError, StepFailedError
from deploy.facts.fact import gather
from deploy.facts.installed import NOTHING, installed_fact
from deploy.identity import Signer
from deploy.inventory import AgentSettings, Host, TlsPolicy
from deploy.pki import create_authority
from deploy.planning.install import plan_install
from deploy.planning.removal import plan_removal
from deploy.planning.service import stop_command
from deploy.runner import LocalRunner
from deploy.steps import shell_text


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "1.0": fake_wheels(folder / "1.0", "1.0"),
        "2.0": fake_wheels(folder / "2.0", "2.0"),
        "3.0": fake_wheels(folder / "3.0", "3.0", is_broken=True),
    }


class Place:
    """A folder that plays a machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.runner = LocalRunner({"HOME": str(folder), "PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin"})
        self.host: Host = host(
            scope="user",
            folder=str(folder / "agent"),
            agent=AgentSettings(name="here", port=free_port(), is_loopback=True),
        )

    @property
    def layout(self):
        return self.found.layout

    @cached_property
    def found(self):
        return operations.survey(self.runner, self.host)

    @property
    def installed(self):
        return gather(self.runner, installed_fact(self.layout))

    def wanted(self, wheels, **changes):
        goal = operations.wanted_on(self.found, lambda _: wheels, None, health_seconds=10)
        return replace(goal, **changes)

    def install(self, wheels, **changes):
        steps = plan_install(self.installed, self.wanted(wheels, **changes), self.layout)
        return apply_steps(steps, self.runner, self.layout.lock)

    def uninstall(self) -> None:
        apply_steps(plan_removal(self.installed, (), self.layout), self.runner, self.layout.lock)


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / "place")
    yield place
    place.uninstall()
    assert [*(tmp_path / "place").iterdir()] == [], "an uninstall leaves nothing"


class Cluster:
    """A place whose agent serves TLS, and the authority that vouches for it."""

    def __init__(self, place: Place, folder: Path, wheels) -> None:
        self.place, self.wheels = place, wheels
        agent = replace(place.host.agent, tls=TlsPolicy(is_mutual=True, allows_plaintext=False))
        place.host = replace(place.host, name="here", agent=agent)
        self.authority = create_authority(folder, "lab")
        self.tls = Path(place.layout.tls)

    def install(self) -> list[str]:
        """Names of the steps that were taken; a second install takes none."""
        first, second = self.planned(), self.planned
        first.apply(self.place.runner, lambda _: None)
        assert second().steps == ()
        return [step.name for step in first.steps]

    def planned(self):
        signer = Signer(self.authority.folder, lambda _: None)
        return operations.install(self.place.runner, self.place.host, lambda _: self.wheels, signer, health_seconds=10)


@pytest.fixture
def cluster(place, tmp_path, releases):
    cluster = Cluster(place, tmp_path / "pki", releases["1.0"])
    assert "identity" in cluster.install()
    return cluster


def same(real, said):
    """What is installed, but for what the machine decides."""
    return replace(real, pid=0, n_restarts=0) == replace(said, pid=0, n_restarts=0)


def test_each_step_changes_what_it_says_and_a_second_install_changes_nothing(place, releases) -> None:
    goal = place.wanted(releases["1.0"])
    layout, said = place.layout, NOTHING
    for step in plan_install(NOTHING, goal, layout):
        apply_steps([step], place.runner, layout.lock)
        said = step.after(said)
        assert same(place.installed, said), step.name
    assert plan_install(place.installed, goal, layout) == ()


def test_a_folder_that_holds_other_things_is_left_alone(place, releases) -> None:
    photo = Path(place.host.folder) / "log" / "photo"
    photo.parent.mkdir(parents=True)
    photo.write_text("mine")
    with pytest.raises(DeployError, match=r"holds other things \(log\) and nothing of ours"):
        operations.install(place.runner, place.host, lambda _: releases["1.0"])
    assert operations.state(place.runner, place.host).message == "nothing is installed"
    planned = operations.uninstall(place.runner, place.host)
    assert planned.steps == ()
    assert planned.done.endswith("stays, with log")
    photo.unlink()
    photo.parent.rmdir()
    photo.parent.parent.rmdir()


def test_an_uninstall_leaves_what_others_put_beside_ours(place, releases) -> None:
    place.install(releases["1.0"])
    own, link = Path(place.layout.root) / "my notes", Path(place.layout.root) / ".link"
    own.write_text("mine")
    link.symlink_to("nowhere")
    assert place.installed.others == {"my notes", ".link"}
    place.install(releases["2.0"])
    place.uninstall()
    assert {*Path(place.layout.root).iterdir()} == {own, link}
    assert own.read_text() == "mine"
    assert plan_removal(place.installed, (), place.layout) == ()
    own.unlink()
    link.unlink()
    own.parent.rmdir()


OLD_PYTHON = """#!/bin/sh
[ "$1" = -c ] && echo python "$0" 3.8 cpython 64
"""


def test_a_machine_whose_own_python_is_too_old_runs_all_with_the_one_that_fits(place, tmp_path, releases) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").write_text(OLD_PYTHON)
    (programs / "python3").chmod(0o755)
    fitting = programs / "python3.11"
    fitting.symlink_to(sys.executable)
    place.runner = LocalRunner({"HOME": str(tmp_path / "place"), "PATH": f"{programs}:/usr/bin:/bin"})
    place.install(releases["1.0"])
    assert operations.state(place.runner, place.host).state == "healthy"
    (programs / "python3").unlink()
    operations.restart(place.runner, place.host).apply(place.runner, lambda _: None)
    assert operations.state(place.runner, place.host).state == "healthy"


def test_an_uninstall_needs_no_python_where_nothing_runs(place, releases) -> None:
    place.install(releases["1.0"])
    gone = replace(place.layout, python="/no/python")
    with pytest.raises(StepFailedError, match="cannot stop the agent"):
        apply_steps(plan_removal(place.installed, (), gone), place.runner, gone.lock)
    assert operations.state(place.runner, place.host).state == "healthy"
    assert place.runner.run(stop_command(place.layout)).status == 0
    apply_steps(plan_removal(place.installed, (), gone), place.runner, gone.lock)


@pytest.mark.parametrize("n_settings", [1, 2])
def test_an_install_that_was_killed_among_its_settings_can_be_taken_away(place, releases, n_settings) -> None:
    steps = plan_install(place.installed, place.wanted(releases["1.0"]), place.layout)
    n_done = [step.name for step in steps].index("keep") + 1 + n_settings
    apply_steps(steps[:n_done], place.runner, place.layout.lock)
    place.uninstall()


@pytest.mark.parametrize("name", ["node.pem", "node.key", "ca.pem", "revoked.pem"])
def test_a_node_that_lacks_a_file_for_tls_gets_a_certificate(cluster, name) -> None:
    (cluster.tls / name).unlink()
    assert cluster.install() == ["identity"]
    assert (cluster.tls / name).exists()


def test_a_node_that_has_moved_gets_a_certificate_for_its_address(cluster) -> None:
    cluster.place.host = replace(cluster.place.host, address="192.168.1.77")
    assert cluster.install()[0] == "identity"
    (newest,) = cluster.authority.chosen(["here"])
    assert newest.addresses == ("192.168.1.77",)
    assert (cluster.tls / "node.pem").read_bytes() == newest.pem


def test_a_node_of_another_authority_gets_a_certificate_of_this_one(cluster, tmp_path) -> None:
    cluster.authority = create_authority(tmp_path / "other", "lab")
    assert cluster.install() == ["identity"]
    assert (cluster.tls / "ca.pem").read_bytes() == cluster.authority.pem


def test_a_node_gets_a_newer_list_of_revoked_certificates_and_keeps_its_own(cluster) -> None:
    cluster.authority.revoke(cluster.authority.plan_revocation(["coordinator"]))
    before = (cluster.tls / "node.pem").read_bytes()
    assert cluster.install() == ["revocations"]
    assert (cluster.tls / "revoked.pem").read_bytes() == (cluster.authority.folder / "revoked.pem").read_bytes()
    assert (cluster.tls / "node.pem").read_bytes() == before


def test_a_node_that_was_revoked_comes_back_with_a_new_key_only(cluster) -> None:
    cluster.authority.revoke(cluster.authority.plan_revocation(["here"]))
    with pytest.raises(DeployError, match="'here' was revoked: have it make a new key"):
        cluster.planned()
    cluster.place.uninstall()
    assert "identity" in cluster.install()


@pytest.mark.slow
def test_steps_that_are_done_find_nothing_to_do(place, releases) -> None:
    goal = place.wanted(releases["1.0"])
    layout = place.layout
    steps = plan_install(NOTHING, goal, layout)
    apply_steps(steps, place.runner, layout.lock)
    again = apply_steps([step for step in steps if step.check], place.runner, layout.lock)
    assert {result.outcome for result in again} == {"unchanged"}


def test_a_release_that_is_not_healthy_gives_way_to_the_one_before(place, releases) -> None:
    place.install(releases["1.0"])
    store = Path(place.layout.state) / "shard"
    store.write_text("weights")
    before = place.installed
    with pytest.raises(StepFailedError, match=r"this release is broken.*brought back") as caught:
        place.install(releases["3.0"], health_seconds=2)
    assert "healthy" in str(caught.value)
    after = place.installed
    assert (after.current, after.confirmed, after.files) == (before.current, before.confirmed, before.files)
    assert operations.state(place.runner, place.host).state == "healthy"
    assert store.read_text() == "weights"


@pytest.mark.slow
def test_an_upgrade_keeps_the_store_and_starts_the_new_release(place, releases) -> None:
    place.install(releases["1.0"])
    store = Path(place.layout.state) / "shard"
    store.write_text("weights")
    first = operations.state(place.runner, place.host)
    place.install(releases["2.0"])
    second = operations.state(place.runner, place.host)
    assert second.release.startswith("2.0-")
    assert second.pid != first.pid
    assert store.read_text() == "weights"


def test_a_first_release_that_is_broken_is_stopped_and_another_takes_its_place(place, releases) -> None:
    with pytest.raises(StepFailedError, match="It was stopped"):
        place.install(releases["3.0"], health_seconds=1)
    assert not place.installed.is_active
    place.install(releases["1.0"])
    assert operations.state(place.runner, place.host).state == "healthy"


@pytest.mark.parametrize(
    ("version", "n_done"),
    [
        ("1.0", 4),
        ("2.0", 4),
        *(pytest.param("1.0", n_done, marks=pytest.mark.slow) for n_done in (0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11)),
        *(pytest.param("2.0", n_done, marks=pytest.mark.slow) for n_done in (0, 1, 2, 3, 5, 6)),
    ],
)
def test_an_install_that_was_killed_in_the_middle_of_a_step_can_be_finished(place, releases, version, n_done) -> None:
    """SIGKILL to the shell and all it started, in the middle of step number `n_done`."""
    if version == "2.0":
        place.install(releases["1.0"])
    layout, goal = place.layout, place.wanted(releases[version])
    steps = plan_install(place.installed, goal, layout)
    apply_steps(steps[:n_done], place.runner, layout.lock)
    if n_done < len(steps) and steps[n_done].command:
        step = steps[n_done]
        text = shell_text(step, layout.lock)
        process = subprocess.Popen(
            ["/bin/sh", "-c", text], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        process.stdin.write(step.stdin[: len(step.stdin) // 2])
        process.stdin.flush()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
    apply_steps(plan_install(place.installed, goal, layout), place.runner, layout.lock)
    assert operations.state(place.runner, place.host).state == "healthy"
    assert plan_install(place.installed, goal, layout) == ()
