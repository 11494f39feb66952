import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from e2e_commands import splitfront
from onnx import TensorProto, helper

from coordinator.__main__ import run

FIVE_FAULTS = """
name: five-faults
nodes:
  - {name: a, local: true, memory: 12 potatoes}
  - {name: a, address: "no port here", memory: 1GiB}
  - {name: c, local: true, memory: 1GiB, emulate: {slowdown: -3}}
links:
  default: {rate: 50 mbot}
  between:
    - {from: a, to: nowhere, delay: 5ms}
"""


def expect_one_line(done, *words, status=1):
    """One clear line on standard error with these words, a status, and no traceback."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr.strip().splitlines()[-1]
    for word in words:
        assert word in message, message
    return message


def test_missing_model(tmp_path):
    done = splitfront("run", tmp_path / "none.onnx", "--local", 1, "--out", tmp_path / "run")
    expect_one_line(done, "none.onnx")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "fault"), [(b"", "is empty"), (b"not a model at all", "ONNX"), (bytes(range(256)) * 20, "ONNX")]
)
def test_a_file_that_is_not_onnx(tmp_path, content, fault):
    path = tmp_path / "fake.onnx"
    path.write_bytes(content)
    done = splitfront("run", path, "--local", 1, "--out", tmp_path / "run")
    expect_one_line(done, "fake.onnx", fault)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_model(toy_model, tmp_path, share):
    path = tmp_path / "cut.onnx"
    whole = toy_model.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    expect_one_line(splitfront("inspect", path), "cut.onnx")


def test_an_operator_that_the_runtime_lacks(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="com.example")],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    expect_one_line(splitfront("inspect", path), "Frobnicate", "odd")


def test_an_unknown_zoo_name_is_answered_with_the_nearest():
    expect_one_line(splitfront("inspect", "mobilnet_v2"), "mobilnet_v2", "mobilenet_v2")


def test_a_cluster_file_with_five_faults_names_all_five(toy_model, tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(FIVE_FAULTS)
    done = splitfront("run", toy_model, "--cluster", path, "--out", tmp_path / "run")
    assert done.returncode == 1
    for word in ("12 potatoes", "nodes[1].address", "got -3", "50 mbot", "nowhere"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_node_that_is_down_is_named_with_its_address(toy_model, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "cluster.yaml"
    path.write_text(f"name: down\nnodes:\n  - {{name: gone, address: '127.0.0.1:{port}', memory: 1GiB}}\n")
    done = splitfront("run", toy_model, "--cluster", path, "--out", tmp_path / "run")
    expect_one_line(done, "gone", str(port))
    assert not (tmp_path / "run" / "profile.json").exists()


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "node_agent", "--listen", f"127.0.0.1:{port}", "--store", tmp_path / "store"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode != 0
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr


def test_memory_limits_that_no_plan_satisfies_say_by_how_much(toy_model, tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text("name: tiny\nnodes:\n  - {name: a, local: true, memory: 1MiB}\n")
    done = splitfront("run", toy_model, "--cluster", path, "--out", tmp_path / "run", "--profile-seconds", 1)
    expect_one_line(done, "'a'", "MiB")
    assert not (tmp_path / "run" / "front.json").exists()


def test_a_step_whose_input_is_missing_says_which_step_makes_it(tmp_path):
    expect_one_line(splitfront("search", "--run", tmp_path), "splitfront profile")


def test_a_file_that_the_system_refuses_is_named(tmp_path):
    expect_one_line(splitfront("init", tmp_path / "none" / "cluster.yaml"), str(tmp_path / "none"), "No such file")
    (tmp_path / "a-file").touch()
    expect_one_line(splitfront("init", tmp_path / "a-file" / "cluster.yaml"), "a-file", "Not a directory")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "{model}"], ["inspect", "{model}", "--json"]])
def test_an_output_that_is_full_is_told_once(toy_model, arguments):
    command = [sys.executable, "-m", "coordinator", *(word.format(model=toy_model) for word in arguments)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "splitfront: error: Cannot write: No space left on device"
    assert done.stderr.count("No space left") == 1


MISTYPED = [
    ("--choose", "latency<=50"),
    ("--within", "latency<50ms"),
    ("--objectives", "latency,thruput"),
    ("--engine", "exackt"),
    ("--codecs", "flaot16"),
    ("--pin-first", "nobody"),
]


@pytest.mark.parametrize(("option", "word"), MISTYPED)
def test_a_mistyped_wish_is_refused_before_any_step(toy_model, tmp_path, capsys, option, word):
    earlier = tmp_path / "plan.json"
    earlier.touch()
    for more in ([], ["--dry-run"]):
        assert run(["run", str(toy_model), "--local", "2", "--out", str(tmp_path), option, word, *more]) == 1
        assert repr(word.rpartition(",")[2]) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [earlier]


def test_a_dry_run_says_all_steps_to_people_and_scripts(toy_model, tmp_path, capsys):
    arguments = ["--local", "2", "--out", str(tmp_path / "run"), "--dry-run"]
    assert run(["run", str(toy_model), *arguments, "--choose", "throughput"]) == 0
    said = capsys.readouterr().out
    assert all(words in said for words in ("Would profile", "search", "'throughput'", "measure"))
    for command in ("run", "profile"):
        assert run([command, str(toy_model), *arguments, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["n_segments"].keys() == {"local-1", "local-2"}
        assert bool(told["then"]) == (command == "run")
    assert not (tmp_path / "run").exists()


def test_wrong_usage_has_its_own_status(toy_model):
    assert splitfront("run", toy_model).returncode == 2
    done = splitfront("serch")
    assert done.returncode == 2
    assert "search" in done.stderr


def test_help_answers_at_once():
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        assert splitfront("--help").returncode == 0
        seconds.append(time.perf_counter() - started)
    assert np.min(seconds) < 0.5


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from coordinator.__main__ import run; run(['--help']); run(['run', '--help']);"
        "print(sorted({'torch', 'onnx', 'numpy', 'grpc', 'plotly', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
