import os
import re
import subprocess
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def test_a_node_installs_these_and_nothing_more() -> None:
    transport = {"grpcio", "grpcio-health-checking", "grpcio-reflection", "protobuf", "psutil"}
    assert names(PROJECT["dependencies"]) == {"numpy"}
    assert names(EXTRAS["node"]) == transport | {"onnxruntime"}
    assert names(EXTRAS["node-gpu"]) == transport | {"onnxruntime-gpu"}
    assert names(EXTRAS["compression"]) == {"lz4", "zstandard"}


def test_torch_comes_with_its_own_extra_only() -> None:
    assert [extra for extra in EXTRAS if "torch" in names(EXTRAS[extra])] == ["torch"]


def pins() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", line) for line in lines), "pins only, no addresses"
    assert lines == sorted(lines, key=str.casefold)
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_every_requirement_has_a_pin_that_satisfies_it() -> None:
    pinned = pins()
    for extra, requirements in {"": PROJECT["dependencies"], **EXTRAS}.items():
        for requirement in map(Requirement, requirements):
            if requirement.name in ("splitfront", "onnxruntime-gpu"):
                continue
            version = pinned.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} of [{extra}] has no pin"
            assert requirement.specifier.contains(version), f"{requirement} of [{extra}] excludes its pin {version}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_that_the_documents_name_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:console|sh|bash)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    called = {
        word
        for line in lines
        for command in re.split(r"&&|;", line.partition("#")[0])
        if command.split()[:1] == ["make"]
        for word in command.split()[1:]
        if re.fullmatch(r"[a-z][a-z-]*", word)
    }
    assert called <= make_targets()


def test_files_that_the_documents_link_to_exist() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_make_without_a_target_lists_all_targets() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    run = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    listed = set(re.findall(r"^  ([a-z-]+)  ", run.stdout, flags=re.MULTILINE))
    assert listed == make_targets()


def test_examples_are_package_data() -> None:
    folder = resources.files("coordinator") / "examples"
    names = {path.name for path in folder.iterdir() if path.name.endswith(".yaml")}
    assert names == {"cluster.yaml", "demo.yaml", "sweep.yaml"}


def test_ci_runs_the_checks_that_people_run() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in text
    assert {"step make check", "step make wheel-test"} <= set(text.splitlines())


def test_generated_code_loads_on_the_oldest_runtime_that_is_allowed() -> None:
    text = Path(ROOT, "node_agent/wire/agent_pb2.py").read_text()
    generated = re.search(r"Protobuf Python Version: (\S+)", text)
    assert generated is not None
    oldest = next(Requirement(text).specifier for text in EXTRAS["node"] if Requirement(text).name == "protobuf")
    floor = next(iter(oldest)).version
    assert tuple(map(int, generated[1].split("."))) <= tuple(map(int, floor.split(".")))
