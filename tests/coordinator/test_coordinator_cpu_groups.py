import os
import subprocess
import sys
from pathlib import Path

import pytest
from cpu_group_trees import TREE, emptied, groups_here, needs_groups, unified_tree

from coordinator.cpu_groups import CpuGroup, make_group, period_and_quota, remove_stale_groups
from coordinator.errors import NodeDownError
from node_agent.host.control_group import ControlGroup, cpu_limit, own_group, read_limit

PID = os.getpid()


@pytest.mark.parametrize(
    ("n_cores", "period", "quota"),
    [(0.3, 5000, 1500), (0.2, 5000, 1000), (1.5, 5000, 7500), (0.1, 10_000, 1000), (0.05, 20_000, 1000)],
)
def test_periods_are_short_unless_the_kernel_wants_a_longer_one(n_cores: float, period: int, quota: int) -> None:
    assert period_and_quota(n_cores) == (period, quota)


@pytest.mark.parametrize("n_cores", [0.05, 0.07, 0.123, 0.35, 1.0, 3.999])
def test_quotas_are_what_was_asked_for(n_cores: float) -> None:
    period, quota = period_and_quota(n_cores)
    assert quota / period == pytest.approx(n_cores, rel=1e-3)
    assert quota >= 1000


def test_a_group_of_version_2_lies_where_time_is_shared_out_already(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/user/app/shell", sharing=("/", "/user"))
    group = make_group("pi-1", 0.4, system=system)
    assert group.folder == tmp_path / TREE / "user" / f"splitfront-{PID}-pi-1"
    assert (group.folder / "cpu.max").read_text() == "2000 5000"
    assert read_limit(group.folder, 2) == 0.4
    assert cpu_limit(ControlGroup(version=2, folder=group.folder, top=tmp_path / TREE)) == 0.4
    group.lift()
    assert (group.folder / "cpu.max").read_text() == "max"
    assert group.entrance[-1] == str(group.folder / "cgroup.procs")


def test_a_folder_of_version_2_is_made_to_share_out_time_where_none_does(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/app/shell", sharing=(), capable=("/app",))
    group = make_group("pi-1", 0.05, system=system)
    assert group.folder.parent == tmp_path / TREE / "app"
    assert (tmp_path / TREE / "app" / "cgroup.subtree_control").read_text() == "+cpu"
    assert (group.folder / "cpu.max").read_text() == "1000 20000"


def test_a_folder_that_may_not_be_used_is_passed_over(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/user/app", sharing=("/", "/user"))
    (tmp_path / TREE / "user" / "cgroup.procs").unlink()
    group = make_group("pi-1", 0.4, system=system)
    assert group.folder.parent == tmp_path / TREE


def test_a_second_cluster_of_this_process_may_have_a_node_of_the_same_name(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/user", sharing=("/",))
    names = [make_group("pi-1", 0.4, system=system).folder.name for _ in range(3)]
    assert names == [f"splitfront-{PID}-pi-1{suffix}" for suffix in ("", "-2", "-3")]


def test_what_is_not_permitted_says_what_is_needed(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/user", sharing=("/",))
    (tmp_path / TREE / "cgroup.procs").unlink()
    with pytest.raises(NodeDownError) as caught:
        make_group("pi-1", 0.4, system=system)
    assert caught.value.nodes == ("pi-1",)
    said = str(caught.value)
    assert said.startswith("Cannot hold local node 'pi-1' to 40 % of a core: ")
    top = tmp_path / TREE
    assert f"no group can be made in {top} ({top / 'cgroup.procs'} may not be written)" in said
    assert not list(top.glob("splitfront-*"))
    assert said.endswith("run as root, have one delegated (systemd: Delegate=cpu), or take cpu_quota out.")


def test_a_machine_without_groups_is_told(tmp_path: Path) -> None:
    with pytest.raises(NodeDownError, match=r"no control groups with the controller 'cpu' are mounted here"):
        make_group("pi-1", 0.4, system=tmp_path)


def test_more_than_the_machine_has_limits_nothing() -> None:
    with pytest.raises(NodeDownError, match=rf"to 1000 cores: this machine has {os.cpu_count()}. Lower its cpu_quota"):
        make_group("pi-1", 1000.0)


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(20)
    return process.pid


def test_groups_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    system = unified_tree(tmp_path, "/user/app", sharing=("/", "/user"))
    for pid, state in ((1, "S"), (2, "Z")):
        (tmp_path / "proc" / str(pid)).mkdir()
        (tmp_path / "proc" / str(pid) / "stat").write_text(f"{pid} (a) b) {state} 0 0")
    kept = [tmp_path / TREE / name for name in ("splitfront-1-pi-1", "splitfront-x-y", "other-9-pi", "splitfront-9")]
    gone = [
        tmp_path / TREE / name for name in ("splitfront-2-pi-1", "user/splitfront-3-a-b", "user/app/splitfront-4-c")
    ]
    for folder in (*kept, *gone):
        folder.mkdir()
    remove_stale_groups(seconds=0.0, system=system)
    assert all(folder.exists() for folder in kept)
    assert not any(folder.exists() for folder in gone)


def test_a_group_that_is_not_empty_is_left_after_a_while(tmp_path: Path) -> None:
    group = CpuGroup(version=2, folder=tmp_path / "group")
    assert group.remove()
    group.folder.mkdir()
    (group.folder / "cgroup.procs").touch()
    assert not group.remove(seconds=0.05)
    with emptied(group.folder):
        assert group.remove()


@needs_groups
def test_a_command_is_inside_from_its_first_moment_and_the_group_goes_with_it() -> None:
    before = groups_here()
    group = make_group("real", 0.3)
    program = (
        "from node_agent.host.control_group import cpu_limit, own_group; print(os.getpid(), cpu_limit(own_group()))"
    )
    command = [*group.entrance, sys.executable, "-c", f"import os; {program}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate(timeout=60)
    assert said.split() == [str(process.pid), "0.3"]
    assert groups_here() - before == {f"splitfront-{PID}-real"}
    assert group.remove()
    assert groups_here() == before
    assert own_group() is not None


@needs_groups
def test_the_kernel_takes_every_share_that_may_be_asked_for() -> None:
    for n_cores in (0.05, 0.0777, 0.3, 0.999, float(os.cpu_count() or 1)):
        group = make_group("shares", n_cores)
        assert read_limit(group.folder, group.version) == pytest.approx(n_cores, rel=1e-3)
        assert group.remove()


@needs_groups
def test_a_busy_group_of_a_dead_coordinator_stays_until_its_agent_has_ended() -> None:
    group = make_group("busy", 0.5)
    stale = CpuGroup(version=group.version, folder=group.folder.with_name(f"splitfront-{ended_process()}-busy"))
    group.remove()
    stale.folder.mkdir()
    command = [*stale.entrance, sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n"
        remove_stale_groups(seconds=0.05)
        assert stale.folder.exists()
        assert process.poll() is None
    remove_stale_groups(seconds=5.0)
    assert not stale.folder.exists()


@needs_groups
def test_a_share_that_the_kernel_refuses_leaves_no_group() -> None:
    before = groups_here()
    with pytest.raises(NodeDownError, match=r"no group can be made in .* \(Invalid argument\)"):
        make_group("refused", 1e-4)
    assert groups_here() == before
