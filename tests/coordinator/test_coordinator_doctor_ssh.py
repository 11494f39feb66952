"""`splitfront nodes doctor` says what helps where no SSH server answers."""

import json
import socket
from pathlib import Path

import pytest

from coordinator.__main__ import run


def test_a_machine_without_an_ssh_server_has_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and does not listen: refused
        port = taken.getsockname()[1]
        node = {"name": "pi-1", "address": f"127.0.0.1:{port}", "ssh": {"user": "pi", "port": port}}
        (tmp_path / "cluster.yaml").write_text(json.dumps({"name": "lab", "nodes": [node]}))
        got = run(["nodes", "doctor", "--no-links", "--json", "--cluster", str(tmp_path / "cluster.yaml")])
    said = capsys.readouterr()
    assert got == 1, said
    findings = json.JSONDecoder().raw_decode(said.out)[0]["findings"]
    remedies = {finding["about"]: finding["remedy"] for finding in findings}
    assert "SSH server" in remedies["SSH"]
    assert "splitfront nodes install pi-1" in remedies["agent"]
