import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fake_release import fake_wheel

from deploy.errors import WheelsError
from deploy.own_wheel import own_wheel
from deploy.planning.suitability import Platform
from deploy.wheels import constraints_text, gather_wheels, pip_words, reason_of

PI = Platform(machine="aarch64", glibc=(2, 36), python=(3, 11))


def test_only_wheels_for_the_node_are_asked_for() -> None:
    words = pip_words(PI, ["splitfront[node]"], Path("to"), Path("constraints.txt"))
    assert "--only-binary=:all:" in words
    assert words[words.index("--python-version") + 1] == "3.11"
    tags = [words[i + 1] for i, word in enumerate(words) if word == "--platform"]
    assert tags == [*PI.tags]
    assert all("x86_64" not in tag for tag in tags)
    assert words[-1] == "splitfront[node]"


def test_constraints_leave_out_builds_that_others_may_not_have() -> None:
    assert constraints_text({"torch": "2.13.0+cpu", "numpy": "2.4.6", "splitfront": "1"}) == "numpy==2.4.6\n"


def test_what_was_gathered_is_used_again_without_any_network(tmp_path) -> None:
    own = fake_wheel(tmp_path, "1.0")
    first = gather_wheels(PI, tmp_path / "cache", has_gpu=False, own=own)
    own_name = own.name
    assert [wheel.name for wheel in first] == [own_name]
    stamp = first[0].path.stat().st_mtime_ns
    assert gather_wheels(PI, tmp_path / "cache", has_gpu=False, own=own) == first
    assert first[0].path.stat().st_mtime_ns == stamp
    other = fake_wheel(tmp_path / "cache", "2.0")
    assert [wheel.name for wheel in gather_wheels(PI, tmp_path / "cache", has_gpu=False, own=other)] == [other.name]


def test_what_cannot_be_had_is_one_clear_line(tmp_path) -> None:
    with pytest.raises(WheelsError, match="cannot be read"):
        gather_wheels(PI, tmp_path, has_gpu=False, own=tmp_path / "missing.whl")
    broken = tmp_path / "splitfront-1.0-py3-none-any.whl"
    broken.write_text("no wheel")
    with pytest.raises(WheelsError, match="pip cannot gather") as caught:
        gather_wheels(PI, tmp_path / "cache", has_gpu=False, own=broken)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_installation_without_sources_makes_the_same_program_into_a_wheel(tmp_path) -> None:
    """The wheel that is built here, installed and packed again, holds the same files."""
    built = own_wheel(tmp_path / "built")
    site = tmp_path / "site"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)
    program = "import pathlib, sys; sys.path.insert(0, sys.argv[1]); from deploy import own_wheel; "
    program += "print(own_wheel.own_wheel(pathlib.Path(sys.argv[2])))"
    words = [sys.executable, "-c", program, str(site), str(tmp_path / "packed")]
    run = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60)
    with zipfile.ZipFile(built) as one, zipfile.ZipFile(run.stdout.strip()) as other:
        names = {name for name in one.namelist() if not name.endswith("/RECORD")}
        assert names == {name for name in other.namelist() if not name.endswith("/RECORD")}
        assert all(one.read(name) == other.read(name) for name in names)


@pytest.mark.slow
def test_nodes_that_are_installed_at_the_same_time_read_one_wheel(tmp_path) -> None:
    with ThreadPoolExecutor(3) as pool:
        made = [*pool.map(lambda _: own_wheel(tmp_path / "own"), range(3))]
        inodes = {path.stat().st_ino for path in made}
    assert len(inodes) == 1
    assert [*(tmp_path / "own").iterdir()] == made[:1]


def test_a_fault_of_pip_itself_is_told_by_its_last_line() -> None:
    text = "WARNING: slow\nERROR: Exception:\nTraceback (most recent call last):\n  File x\nOSError: no space left\n"
    assert reason_of(text) == "OSError: no space left"
    assert reason_of("ERROR: No matching distribution\n") == "No matching distribution"


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_the_packages_of_a_pi_are_few(tmp_path, machine) -> None:
    platform = Platform(machine=machine, glibc=(2, 36), python=(3, 11))
    wheels = gather_wheels(platform, tmp_path, has_gpu=False)
    total = sum(wheel.n_bytes for wheel in wheels)
    assert total <= (60e6 if machine == "aarch64" else 70e6)
    names = {wheel.name.partition("-")[0] for wheel in wheels}
    assert {"splitfront", "numpy", "grpcio", "onnxruntime", "protobuf", "psutil"} <= names
    assert not names & {"torch", "onnx", "pymoo", "paramiko", "matplotlib"}
