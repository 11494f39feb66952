import pytest
from system_tree import write_system

from node_agent.host.control_group import (
    MEMORY,
    TASKS,
    cpu_limit,
    memory_limit,
    own_group,
    parse_cpu_max,
    parse_memberships,
    tasks_left,
)
from node_agent.host.facts import memory_bytes, threads_left

HYBRID_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"""
UNIFIED_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
CPU1 = "sys/fs/cgroup/cpu,cpuacct"
CPU2 = "sys/fs/cgroup"
MEMORY1 = "sys/fs/cgroup/memory"


def version_1(folder, membership="9:name=systemd:/\n4:cpu,cpuacct:/a/b\n0::/", mounts=HYBRID_MOUNTS, **quotas):
    files = {"proc/self/cgroup": membership, "proc/self/mountinfo": mounts}
    for group, quota in quotas.items():
        files[f"{CPU1}/{group.replace('_', '/')}/cpu.cfs_quota_us"] = quota
        files[f"{CPU1}/{group.replace('_', '/')}/cpu.cfs_period_us"] = 5000
    return write_system(folder, files)


def version_2(folder, membership, **limits):
    files = {"proc/self/cgroup": f"0::{membership}", "proc/self/mountinfo": UNIFIED_MOUNT}
    files[f"{CPU2}/cgroup.controllers"] = "cpuset cpu io memory"
    files |= {f"{CPU2}/{group.replace('_', '/')}/cpu.max": text for group, text in limits.items()}
    return write_system(folder, files)


def test_the_group_is_found_in_a_tree_of_version_1(tmp_path):
    system = version_1(tmp_path, a_b=-1)
    group = own_group(system)
    assert (group.version, group.folder, group.top) == (1, tmp_path / CPU1 / "a/b", tmp_path / CPU1)
    assert list(group.up_to_top()) == [tmp_path / CPU1 / "a/b", tmp_path / CPU1 / "a", tmp_path / CPU1]


def test_the_least_quota_on_the_way_up_holds_in_version_1(tmp_path):
    assert cpu_limit(own_group(version_1(tmp_path, a_b=-1, a=-1))) == 0
    assert cpu_limit(own_group(version_1(tmp_path, a_b=4000, a=-1))) == 0.8
    assert cpu_limit(own_group(version_1(tmp_path, a_b=4000, a=2000))) == 0.4


def test_the_least_quota_on_the_way_up_holds_in_version_2(tmp_path):
    limits = {"user": "max 100000", "user_one": "150000 100000", "user_one_shell": "max 100000"}
    group = own_group(version_2(tmp_path, "/user/one/shell", **limits))
    assert (group.version, group.folder) == (2, tmp_path / CPU2 / "user/one/shell")
    assert cpu_limit(group) == 1.5


def test_a_container_of_version_2_finds_the_quota_at_its_top(tmp_path):
    system = write_system(version_2(tmp_path, "/"), {f"{CPU2}/cpu.max": "25000 100000"})
    assert cpu_limit(own_group(system)) == 0.25


def test_a_container_that_sees_its_part_of_the_tree_finds_its_own_quota(tmp_path):
    mounts = HYBRID_MOUNTS.replace("0:29 / ", "0:29 /docker/0abc ")
    system = version_1(tmp_path, "4:cpu,cpuacct:/docker/0abc", mounts)
    write_system(system, {f"{CPU1}/cpu.cfs_quota_us": 2500, f"{CPU1}/cpu.cfs_period_us": 5000})
    assert own_group(system).folder == tmp_path / CPU1
    assert cpu_limit(own_group(system)) == 0.5


@pytest.mark.parametrize("membership", ["4:cpu,cpuacct:/../outside", "4:cpu,cpuacct:/elsewhere/quite"])
def test_a_group_outside_what_is_mounted_is_taken_for_the_top(tmp_path, membership):
    mounts = HYBRID_MOUNTS.replace("0:29 / ", "0:29 /part ") if "quite" in membership else HYBRID_MOUNTS
    group = own_group(version_1(tmp_path, membership, mounts))
    assert group.folder == group.top == tmp_path / CPU1


def test_the_least_memory_limit_on_the_way_up_holds_in_version_1(tmp_path):
    mounts = f"{HYBRID_MOUNTS}\n35 31 0:32 / /{MEMORY1} rw,relatime - cgroup cgroup rw,memory"
    system = version_1(tmp_path, "4:cpu,cpuacct:/\n5:memory:/a/b", mounts)
    write_system(system, {f"{MEMORY1}/memory.limit_in_bytes": 2**63 - 4096})
    assert memory_bytes(system) == memory_bytes(tmp_path / "nothing")
    write_system(system, {f"{MEMORY1}/a/memory.limit_in_bytes": 300 << 20})
    write_system(system, {f"{MEMORY1}/a/b/memory.limit_in_bytes": 400 << 20})
    assert memory_limit(own_group(system, MEMORY)) == memory_bytes(system) == 300 << 20


def test_the_least_memory_limit_on_the_way_up_holds_in_version_2(tmp_path):
    system = version_2(tmp_path, "/system/agent")
    write_system(system, {f"{CPU2}/system/memory.max": "max"})
    assert memory_bytes(system) == memory_bytes(tmp_path / "nothing")
    write_system(system, {f"{CPU2}/system/agent/memory.max": 400 << 20})
    assert memory_limit(own_group(system, MEMORY)) == memory_bytes(system) == 400 << 20


def test_threads_are_left_by_the_limits_of_all_groups_on_the_way_up(tmp_path):
    system = version_2(tmp_path, "/system/agent")
    write_system(system, {f"{CPU2}/cgroup.controllers": "cpu memory pids"})
    assert tasks_left(own_group(system, TASKS)) is None
    write_system(system, {f"{CPU2}/system/pids.max": 100, f"{CPU2}/system/pids.current": 60})
    write_system(system, {f"{CPU2}/system/agent/pids.max": "max", f"{CPU2}/system/agent/pids.current": 20})
    assert tasks_left(own_group(system, TASKS)) == threads_left(system) == 40
    write_system(system, {f"{CPU2}/system/agent/pids.max": 19})
    assert tasks_left(own_group(system, TASKS)) == -1


def test_a_tree_of_version_2_without_the_controller_is_passed_over(tmp_path):
    system = version_2(tmp_path, "/")
    (tmp_path / CPU2 / "cgroup.controllers").write_text("")
    assert own_group(system) is None
    assert cpu_limit(None) == 0


def test_a_system_without_control_groups_has_none(tmp_path):
    assert own_group(tmp_path) is None
    assert own_group(write_system(tmp_path, {"proc/self/cgroup": "", "proc/self/mountinfo": ""})) is None


@pytest.mark.parametrize(
    ("text", "cores"),
    [("max 100000", 0), ("-1 5000", 0), ("", 0), ("1500 5000", 0.3), ("200000 100000", 2), ("5 0", 0), ("5", 0)],
)
def test_quotas_are_read_in_cores(text, cores):
    assert parse_cpu_max(text) == cores


def test_a_group_may_have_several_controllers_and_colons():
    groups = parse_memberships("4:cpu,cpuacct:/a:b\n1:name=systemd:/c\n0::/d")
    assert {name: str(path) for name, path in groups.items()} == {
        "cpu": "/a:b",
        "cpuacct": "/a:b",
        "name=systemd": "/c",
        "": "/d",
    }
