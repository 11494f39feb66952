"""Secrets are typed once and found nowhere: not on the screen, in a log, a report, a file, or a command line."""

import json
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deploy_builders import system_layout
from fake_release import fake_wheel
from own_machine import USER, commands_of, missing_for_it, running_machine
from private_sshd import PrivateSshd, free_port, make_key, run
from terminal import Session, sit_at

from coordinator.config import load_cluster
from coordinator.nodes import hosts_of
from deploy.pki import Role, create_authority, make_request
from deploy.pki.x509_door import new_key
from deploy.units import managed_files

ROOT = Path(__file__).parents[2]
KEY_PASSPHRASE, PASSWORD, CA_PASSPHRASE = (f"canary-{what}-8154" for what in ("key", "password", "authority"))
WRONG = "canary-wrong-8154"
ANSWERS = {
    "Passphrase of the authority": CA_PASSPHRASE,
    "Passphrase of ": KEY_PASSPHRASE,
    "sudo password of ": PASSWORD,
    "Password of ": PASSWORD,
}
CLUSTER = """\
name: lab
nodes:
  - name: one
    address: 127.0.0.1:{first}
    ssh: {{port: {ssh}, user: {user}, key: {key}, fingerprint: "{print}", scope: system}}
  - name: two
    address: 127.0.0.1:{second}
    ssh: {{port: {ssh}, user: {user}, fingerprint: "{print}", scope: user, folder: /home/{user}/two}}
security: {{pki: pki}}
"""

why_not = missing_for_it()
pytestmark = pytest.mark.skipif(bool(why_not), reason=why_not or "it can")


@dataclass
class Laptop:
    """Where a person sits and installs two agents on one machine: with a sealed key and sudo, and with a password."""

    machine: PrivateSshd
    folder: Path
    told: list[str] = field(default_factory=list)
    """All that was ever shown."""

    def call(self, *words: object, status: int = 0, wrong: str = "") -> Session:
        """`splitfront` on a terminal; the question `wrong` gets a wrong answer."""
        answers = {**ANSWERS, **({wrong: WRONG} if wrong else {})}
        command = [sys.executable, "-m", "coordinator", *map(str, words), "--cluster", "cluster.yaml"]
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "XDG_CACHE_HOME") if name in os.environ}
        env = {**kept, "HOME": str(self.folder / "home"), "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "xterm"}
        session = sit_at(command, answers, cwd=self.folder, env=env)
        self.told.append(session.screen)
        assert session.status == status, session.screen
        return session

    @property
    def secrets(self) -> dict[str, str]:
        """Each secret, or a line of it, by its name."""
        pki = self.folder / "pki"
        own = [self.inside / "opt/splitfront/tls/node.key", self.inside / "home" / USER / "two/tls/node.key"]
        keys = [self.machine.client_key, pki / "ca.key", pki / "coordinator.key", *own]
        bodies = {key: key.read_text().splitlines()[1:-1] for key in keys}
        lines = {f"{key} {n}": line for key, body in bodies.items() for n, line in enumerate(body) if len(line) > 30}
        typed = {"passphrase": KEY_PASSPHRASE, "password": PASSWORD, "authority": CA_PASSPHRASE, "wrong": WRONG}
        return typed | lines

    @property
    def inside(self) -> Path:
        """The machine's files, as seen from here."""
        inner = next(iter((Path("/proc") / str(self.machine.pid) / "task").glob("*/children"))).read_text().split()[0]
        return Path("/proc") / inner / "root"


@pytest.fixture(scope="module")
def laptop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "home").mkdir()
    with running_machine(tmp_path_factory.mktemp("machine"), PASSWORD) as machine:
        run("ssh-keygen", "-q", "-p", "-P", "", "-N", KEY_PASSPHRASE, "-f", machine.client_key)
        authority = create_authority(folder / "pki", "lab", passphrase=CA_PASSPHRASE)
        lost = authority.plan_issue("lost", Role.COORDINATOR, request_pem=make_request(new_key(), "lost"))
        authority.issue(lost, CA_PASSPHRASE)
        text = CLUSTER.format(
            first=free_port(),
            second=free_port(),
            ssh=machine.port,
            user=USER,
            key=machine.client_key,
            print=machine.fingerprint,
        )
        (folder / "cluster.yaml").write_text(text)
        yield Laptop(machine, folder)


def report_of(session: Session):
    text = session.screen
    return json.JSONDecoder().raw_decode(text[text.index("{") :])[0]


def files_with(folder: Path, secrets: dict[str, str]) -> set[tuple[str, str]]:
    """(name of a secret, file) wherever one is found below a folder."""
    found = set()
    for path in (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        content = path.read_bytes()
        found |= {(name, str(path)) for name, secret in secrets.items() if secret.encode() in content}
    return found


@pytest.fixture(scope="module")
def wheels(laptop):
    return fake_wheel(laptop.folder, "1.0"), fake_wheel(laptop.folder, "2.0", is_broken=True)


@pytest.fixture(scope="module")
def installed(laptop, wheels):
    """How the install of both went, from bare, with every question answered."""
    session = laptop.call("nodes", "install", "--wheel", wheels[0])
    yield session
    laptop.call("nodes", "uninstall")
    assert not (laptop.inside / "opt/splitfront").exists()
    assert [*(laptop.inside / "home" / USER).iterdir()] == []
    assert "splitfront" not in (laptop.inside / "etc/passwd").read_text()


@pytest.mark.parametrize(
    ("question", "words", "said"),
    [
        ("sudo password of ", ("install", "one"), "does not take that password"),
        ("Passphrase of the authority", ("install", "two"), "the passphrase does not open it"),
        ("Passphrase of ", ("status", "one"), "logging in failed|takes none of your keys|has a passphrase"),
        ("Password of ", ("status", "two"), "takes none of your keys .it allows publickey, password"),
    ],
)
def test_a_wrong_answer_is_one_clear_line_and_asked_for_once(laptop, wheels, question, words, said):
    more = ("--wheel", wheels[0]) if "install" in words else ()
    refused = laptop.call("nodes", *words, *more, status=1, wrong=question)
    assert re.search(rf"^{words[1]}: .*({said})", refused.screen, re.MULTILINE), refused.screen
    assert refused.asked.count(question) == 1
    laptop.call("nodes", "uninstall")


def test_each_secret_is_asked_for_once_however_many_machines_there_are(installed):
    assert sorted(installed.asked) == sorted(ANSWERS)


def test_a_broken_release_rolls_back_by_itself_as_root_too(laptop, wheels, installed):
    broken = laptop.call("nodes", "upgrade", "--wheel", wheels[1], "--health-seconds", 2, status=1)
    assert broken.screen.count("What was before has been brought back.") == 2
    assert "this release is broken" in broken.screen
    states = report_of(laptop.call("nodes", "status", "--json"))["nodes"]
    assert {(state["state"], state["release"][:4]) for state in states} == {("healthy", "1.0-")}


def test_a_revocation_is_brought_to_every_node(laptop, installed):
    lists = [laptop.inside / "opt/splitfront/tls/revoked.pem", laptop.inside / "home" / USER / "two/tls/revoked.pem"]
    before = [path.read_bytes() for path in lists]
    untold = laptop.call("pki", "revoke", "lost", "--dry-run")
    assert "Would revoke" in untold.screen
    assert [path.read_bytes() for path in lists] == before
    told = laptop.call("pki", "revoke", "lost")
    assert "knows the newest list of revoked certificates" in told.screen
    newest = (laptop.folder / "pki" / "revoked.pem").read_bytes()
    assert [path.read_bytes() for path in lists] == [newest, newest] != before
    again = laptop.call("pki", "revoke", "lost")
    assert again.screen.count("nothing to do: knows the newest list") == 2


def owners_in(folder: Path) -> dict[str, int]:
    """Numbers of the users whom a folder and all in it belong to, by name."""
    return {path.name: path.lstat().st_uid for path in (folder, *folder.iterdir())}


def test_root_writes_into_no_folder_of_the_agents(laptop, installed, wheels):
    tls, victim = laptop.inside / "opt/splitfront/tls", laptop.inside / "etc/victim"
    agent = (tls / "node.key").stat().st_uid
    owners = {"tls": 0, "node.key": agent, "node.pem": 0, "ca.pem": 0, "revoked.pem": 0}
    assert owners_in(tls) == owners
    assert agent != 0

    victim.write_text("secret of root")
    key = (tls / "node.key").read_bytes()
    for words in (("pki", "revoke", "lost"), ("nodes", "install", "one", "--wheel", wheels[0])):
        os.chown(tls, agent, agent)  # as it was made once
        for name in ("revoked.pem.part", "node.pem.part", "folder.part"):
            (tls / name).symlink_to("/etc/victim")
        laptop.call(*words)
        assert victim.read_text() == "secret of root"
        assert victim.stat().st_uid == 0
        assert owners_in(tls) == owners
        assert stat.S_IMODE((tls / "node.key").stat().st_mode) == 0o600
        assert stat.S_IMODE(tls.stat().st_mode) == 0o755
        assert (tls / "node.key").read_bytes() == key
    assert "nothing to do" in laptop.call("nodes", "install", "one", "--wheel", wheels[0]).screen


def test_what_is_typed_and_what_is_kept_safe_is_found_nowhere(laptop, wheels, installed):
    laptop.call("nodes", "logs", "--json")
    laptop.call("nodes", "install", "--dry-run", "--wheel", wheels[0])
    for words in (("doctor", "--all", "--json"), ("doctor",)):  # a fake agent speaks no TLS, which is a problem
        laptop.call("nodes", *words, status=1)
    secrets = laptop.secrets
    assert len(secrets) > 10

    def told_in(text: str) -> list[str]:
        return [name for name, secret in secrets.items() if secret in text]

    assert told_in("".join(laptop.told)) == []
    sent = commands_of(laptop.machine)
    assert "node_agent.tls.request" in sent
    assert "sudo -k -S -p" in sent
    assert told_in(sent) == []
    assert told_in((laptop.machine.folder / "sshd.log").read_text()) == []
    for process in Path("/proc").glob("[0-9]*"):
        assert told_in(said_of(process)) == [], process
    for host in hosts_of(load_cluster(laptop.folder / "cluster.yaml")):
        files = (
            *managed_files(host.agent, system_layout(), 252),
            *managed_files(host.agent, system_layout(has_systemd=False), None),
        )
        assert told_in("".join(file.text for file in files)) == []

    places = [laptop.folder, *(laptop.inside / name for name in ("etc", "opt", "home", "var/lib", "var/log"))]
    kept = {found for place in places for found in files_with(place, secrets)}
    elsewhere = {(name, path) for name, path in kept if name.rpartition(" ")[0] != path}
    assert elsewhere == set(), "a secret outside of its own file"
    assert {Path(path).name for _, path in kept} == {"ca.key", "coordinator.key", "node.key"}


def said_of(process: Path) -> str:
    """Command line and environment of a process; nothing of one that has ended meanwhile."""
    try:
        return ((process / "cmdline").read_bytes() + (process / "environ").read_bytes()).decode(errors="replace")
    except OSError:
        return ""


def test_a_person_with_neither_key_nor_password_is_told_what_is_allowed(laptop, tmp_path):
    make_key(tmp_path / "stranger")
    cluster = laptop.folder / "cluster.yaml"
    text = cluster.read_text()
    cluster.write_text(text.replace(str(laptop.machine.client_key), str(tmp_path / "stranger")))
    refused = laptop.call("nodes", "status", "one", status=1, wrong="Password of ")
    cluster.write_text(text)
    assert refused.asked == ("Password of ",)
    assert "takes none of your keys" in refused.screen
    assert WRONG not in refused.screen
