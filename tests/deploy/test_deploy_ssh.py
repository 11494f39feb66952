import shutil
from dataclasses import replace

import pytest
from paramiko import HostKeys
from private_sshd import SSHD, make_key, running_sshd

from deploy.errors import HostKeyError, HostUnreachableError, LoginRefusedError
from deploy.ssh import HostKeyRules, connect

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd: make system")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with running_sshd(tmp_path_factory.mktemp("sshd") / "one") as server:
        yield server


@pytest.fixture
def rules(tmp_path):
    return HostKeyRules(known_hosts=tmp_path / ".ssh" / "known_hosts")


def nobody(question: str) -> None:
    return None


def write_known_hosts(rules: HostKeyRules, line: str) -> None:
    rules.known_hosts.parent.mkdir()
    rules.known_hosts.write_text(line)


def without_fingerprint(sshd):
    return replace(sshd.endpoint, fingerprint=None)


def test_an_unknown_host_is_refused_and_its_fingerprint_told(sshd, rules) -> None:
    with pytest.raises(HostKeyError, match="is unknown") as caught:
        connect(without_fingerprint(sshd), rules, nobody)
    assert sshd.fingerprint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not rules.known_hosts.exists()


def test_accept_new_remembers_the_key_and_then_it_counts(sshd, rules) -> None:
    connect(without_fingerprint(sshd), replace(rules, accept_new=True), nobody).close()
    assert rules.known_hosts.read_text() == sshd.known_hosts_line
    connect(without_fingerprint(sshd), rules, nobody).close()


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ9mvVqn8b5Pq3m7s0m0m0m0m0m0m0m0m0m0m0m0m0m0"


@pytest.mark.parametrize(
    "line",
    [
        f"@cert-authority *.example.com ssh-ed25519 {KEY}",
        "sk.example sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDD",
        f"host.example,1.2.3.4  ssh-ed25519 {KEY}",
        f"host.example ssh-ed25519 {KEY[:-9]}",
        "host.example ssh-rsa AAAAB3NzaC1yc2E=",
        "host.example ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
        "host.example ssh-ed25519",
        f"|1|broken ssh-ed25519 {KEY}",
        f"|1|YWJj|YWJj ssh-ed25519 {KEY}",
        "h\u00f6st.example ssh-ed25519 \u00e4",
        f"# host.example ssh-ed25519 {KEY}",
    ],
)
def test_lines_of_other_hosts_do_not_matter_whatever_they_are(sshd, rules, line) -> None:
    write_known_hosts(rules, f"{line}\n\n{sshd.known_hosts_line}")
    connect(without_fingerprint(sshd), rules, nobody).close()


def test_a_hashed_name_and_several_spaces_are_read(sshd, rules) -> None:
    name, kind, key = sshd.known_hosts_line.split()
    write_known_hosts(rules, f"{HostKeys.hash_host(name)} \t {kind}  {key} comment\n")
    connect(without_fingerprint(sshd), rules, nobody).close()


def test_accept_new_begins_a_line_of_its_own(sshd, rules) -> None:
    write_known_hosts(rules, f"other.example ssh-ed25519 {KEY}")
    connect(without_fingerprint(sshd), replace(rules, accept_new=True), nobody).close()
    assert rules.known_hosts.read_text() == f"other.example ssh-ed25519 {KEY}\n{sshd.known_hosts_line}"
    connect(without_fingerprint(sshd), rules, nobody).close()


@pytest.mark.parametrize("accept_new", [False, True])
@pytest.mark.parametrize("names", ["*", "other.example"])
@pytest.mark.parametrize("has_trusted", [False, True])
def test_a_revoked_key_is_refused_whoever_shows_it(sshd, rules, accept_new, names, has_trusted) -> None:
    _, kind, key = sshd.known_hosts_line.split()
    trusted = sshd.known_hosts_line if has_trusted else ""
    write_known_hosts(rules, f"{trusted}@revoked {names} {kind} {key}\n")
    with pytest.raises(HostKeyError, match="is marked @revoked") as caught:
        connect(without_fingerprint(sshd), replace(rules, accept_new=accept_new), nobody)
    assert sshd.fingerprint in str(caught.value)


def test_a_file_of_known_hosts_that_cannot_be_read_is_one_clear_line(sshd, rules) -> None:
    rules.known_hosts.mkdir(parents=True)
    with pytest.raises(HostKeyError, match="known_hosts cannot be read: Is a directory"):
        connect(without_fingerprint(sshd), rules, nobody)


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_key_is_refused_whatever_was_asked_for(sshd, rules, tmp_path, accept_new) -> None:
    make_key(tmp_path / "other")
    other = (tmp_path / "other.pub").read_text().split()[1]
    line = " ".join((*sshd.known_hosts_line.split()[:2], other))
    write_known_hosts(rules, f"{line}\n")
    with pytest.raises(HostKeyError, match="another host key than before") as caught:
        connect(without_fingerprint(sshd), replace(rules, accept_new=accept_new), nobody)
    assert "ssh-keygen -R" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert rules.known_hosts.read_text() == f"{line}\n"


@pytest.mark.parametrize("accept_new", [False, True])
def test_another_fingerprint_than_the_inventory_says_is_refused(sshd, rules, accept_new) -> None:
    wrong = replace(sshd.endpoint, fingerprint=f"SHA256:{'A' * 43}")
    with pytest.raises(HostKeyError, match="the inventory says"):
        connect(wrong, replace(rules, accept_new=accept_new), nobody)


def test_a_fingerprint_of_the_inventory_counts_alone(sshd, rules, tmp_path) -> None:
    make_key(tmp_path / "other")
    other = (tmp_path / "other.pub").read_text().split()[1]
    write_known_hosts(rules, f"[127.0.0.1]:{sshd.port} ssh-ed25519 {other}\n")
    connect(sshd.endpoint, rules, nobody).close()


def test_nobody_listening_is_one_clear_line(sshd, rules) -> None:
    from private_sshd import free_port

    with pytest.raises(HostUnreachableError, match="cannot be reached over SSH"):
        connect(replace(sshd.endpoint, port=free_port()), rules, nobody)


def test_a_key_that_the_host_does_not_know_is_refused_with_what_it_allows(sshd, rules, tmp_path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(LoginRefusedError, match="allows publickey"):
        connect(replace(sshd.endpoint, key=tmp_path / "stranger"), rules, nobody)


def test_a_passphrase_is_asked_for_and_never_told(sshd, rules, tmp_path) -> None:
    secret = "correct horse battery"
    shutil.copy(sshd.client_key, tmp_path / "sealed")
    from private_sshd import run

    run("ssh-keygen", "-q", "-p", "-P", "", "-N", secret, "-f", tmp_path / "sealed")
    endpoint = replace(sshd.endpoint, key=tmp_path / "sealed")
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return secret

    connect(endpoint, rules, ask).close()
    assert asked == [f"Passphrase of {tmp_path / 'sealed'}"]
    with pytest.raises(LoginRefusedError, match="has a passphrase"):
        connect(endpoint, rules, nobody)
    with pytest.raises(LoginRefusedError) as caught:
        connect(endpoint, rules, lambda _: "wrong-canary")
    assert "wrong-canary" not in str(caught.value)


def test_commands_give_status_and_both_outputs_and_take_input(sshd, rules) -> None:
    runner = connect(sshd.endpoint, rules, nobody)
    big = bytes(range(256)) * 8192
    outcome = runner.run("sha256sum; echo oops >&2; exit 7", stdin=big)
    import hashlib

    assert outcome.status == 7
    assert outcome.stdout.split()[0] == hashlib.sha256(big).hexdigest()
    assert outcome.stderr == "oops\n"
    assert runner.run("exit 3", stdin=big).status == 3  # ends before it has read all
    assert [*runner.lines("printf 'a\\nb\\n'")] == ["a", "b"]
    with pytest.raises(HostUnreachableError, match="too long"):
        runner.run("sleep 30", timeout_seconds=0.2)
    runner.close()
    with pytest.raises(HostUnreachableError):
        runner.run("true")


def test_files_arrive_whole_or_not_at_all(sshd, rules, tmp_path) -> None:
    runner = connect(sshd.endpoint, rules, nobody)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1_000_000)
    runner.put(source, f"{tmp_path}/target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert not (tmp_path / "target.part").exists()
    with pytest.raises(HostUnreachableError, match="source was not sent"):
        runner.put(source, f"{tmp_path}/missing/target")
    runner.close()


def test_a_jump_host_is_checked_as_well(sshd, rules, tmp_path) -> None:
    with running_sshd(tmp_path / "inner") as inner:
        runner = connect(inner.endpoint, rules, nobody, jump=sshd.endpoint)
        assert runner.run("echo $HOME").stdout.strip() == str(inner.home)
        runner.close()
        with pytest.raises(HostKeyError):
            connect(inner.endpoint, rules, nobody, jump=without_fingerprint(sshd))
        with pytest.raises(HostKeyError):
            connect(without_fingerprint(inner), rules, nobody, jump=sshd.endpoint)
