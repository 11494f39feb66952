"""A node makes its key itself, with the command openssl, and only a request leaves it."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from node_processes import ROOT

from deploy.pki.x509_door import read_request
from node_agent.errors import AgentConfigError
from node_agent.tls.request import MAKE_KEY, make_request, request_command, request_config


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_request_is_what_the_authority_wants(tmp_path):
    folder = tmp_path / "etc" / "pki"
    request = read_request(make_request(folder, "pi-1").encode())
    assert request.name == "pi-1"
    assert (mode(folder), mode(folder / "node.key")) == (0o700, 0o600)
    assert [path.name for path in folder.iterdir()] == ["node.key"]


def test_a_key_that_is_there_is_kept(tmp_path):
    make_request(tmp_path, "pi-1")
    before = (tmp_path / "node.key").read_bytes()
    make_request(tmp_path, "pi-1")
    assert (tmp_path / "node.key").read_bytes() == before


def test_requests_at_the_same_time_are_of_one_key(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: make_request(tmp_path, "pi-1"), range(4)))
    public = {subprocess.check_output(["openssl", "req", "-noout", "-pubkey"], input=one, text=True) for one in made}
    assert len(public) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["node.key"]


def test_no_secret_is_an_argument(tmp_path):
    assert not {"-passin", "-passout", "-pass"} & {*MAKE_KEY, *request_command(tmp_path / "node.key")}


@pytest.mark.parametrize("name", ["", "pi 1", "pi-1\nCN = server", "../x", "a" * 64, "$ENV::HOME", "ü"])
def test_names_that_cannot_be_in_a_certificate(name):
    with pytest.raises(AgentConfigError, match="cannot be in a certificate"):
        request_config(name)


def run(*words, **more):
    command = [sys.executable, "-X", "importtime", "-m", "node_agent.tls.request", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, **more)


def test_the_command_prints_a_request_and_loads_next_to_nothing(tmp_path):
    done = run("--pki", tmp_path / "pki", "--name", "pi-1")
    assert done.returncode == 0
    assert read_request(done.stdout.encode()).name == "pi-1"
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"cryptography", "grpc", "onnxruntime", "numpy", "google"}


def said(done):
    return [line for line in done.stderr.splitlines() if not line.startswith("import time:")]


def test_a_node_without_openssl_is_told_what_to_install(tmp_path):
    done = run("--pki", tmp_path / "pki", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    (line,) = said(done)
    assert "install the system's package openssl" in line
    assert not (tmp_path / "pki" / "node.key").exists()


def test_a_key_that_is_damaged_is_told_and_not_shown(tmp_path):
    (tmp_path / "node.key").write_text("canary-3141\n")
    done = run("--pki", tmp_path)
    (line,) = said(done)
    assert "openssl req failed" in line
    assert "canary" not in done.stderr + done.stdout
