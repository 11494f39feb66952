"""Where everything of ours lies on a node."""

from dataclasses import dataclass
from shlex import quote

from deploy.facts.machine import Machine
from deploy.inventory import Host
from deploy.planning.suitability import fitting_pythons

UNIT = "splitfront-agent.service"
SYSTEM_USER = "splitfront"
NODE_KEY = "node.key"
"""In the folder for TLS: all that lies there is root's but this, which is the agent's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folders and files of one installation. Paths are absolute."""

    is_system: bool
    """For the whole machine, with a user of its own; else in the home of the login user."""
    has_systemd: bool
    """Whether systemd runs the agent; else our supervisor."""
    root: str
    """Releases and settings. Written to by installs only."""
    state: str
    """The shard store. The agent's own."""
    logs: str
    """Of the supervisor, which may run as root: the agent cannot write there."""
    staging: str
    """Wheels, written by the login user."""
    python: str
    """Interpreter of the machine that a node can run on. It runs the supervisor, too, even when a release is broken."""

    @property
    def releases(self) -> str:
        """A folder for each version that is there."""
        return f"{self.root}/releases"

    @property
    def current(self) -> str:
        """Link to the release that runs."""
        return f"{self.root}/current"

    @property
    def confirmed(self) -> str:
        """Says which release and settings were found healthy."""
        return f"{self.root}/confirmed"

    @property
    def tls(self) -> str:
        """Key and certificates of the node."""
        return f"{self.root}/tls"

    @property
    def wheels(self) -> str:
        """Packages that were sent."""
        return f"{self.staging}/wheels"

    @property
    def lock(self) -> str:
        """Whoever changes the installation holds it."""
        return f"{self.staging}/lock"

    @property
    def unit(self) -> str:
        """The service, for systemd."""
        return f"/etc/systemd/system/{UNIT}"

    @property
    def supervisor(self) -> str:
        """The program that keeps the agent up where there is no systemd."""
        return f"{self.root}/supervise.py"

    @property
    def supervisor_settings(self) -> str:
        """What it is told."""
        return f"{self.root}/supervise.json"

    @property
    def log(self) -> str:
        """What the agent says, where there is no journal."""
        return f"{self.logs}/agent.log"

    @property
    def pid_file(self) -> str:
        """Locked by the supervisor as long as it lives."""
        return f"{self.logs}/agent.pid"

    @property
    def folders(self) -> frozenset[str]:
        """Those that an install makes and the agent may not write to, but for those of the login user."""
        return frozenset({self.root, self.releases, *(() if self.has_systemd else (self.logs,))})

    @property
    def managed_files(self) -> tuple[str, ...]:
        """Files whose text the plan decides, in the order in which they are written."""
        return (self.unit,) if self.has_systemd else (self.supervisor_settings, self.supervisor)

    @property
    def own_paths(self) -> tuple[str, ...]:
        """All that an install makes, in the root or beside it. Releases come last: they show that a root is ours."""
        files = (self.current, self.confirmed, self.supervisor, self.supervisor_settings)
        versions = (f"{file}{ending}" for file in files for ending in ("", ".before", ".part"))
        return (*versions, self.tls, self.state, self.logs, self.staging, self.releases)

    def release(self, name: str) -> str:
        """Folder of a release."""
        return f"{self.releases}/{name}"

    def supervise(self, verb: str) -> str:
        """Command that asks something of the supervisor."""
        return f"{quote(self.python)} -ESs {quote(self.supervisor)} {verb} {quote(self.supervisor_settings)}"


def layout_of(host: Host, machine: Machine) -> Layout:
    """Where things go on a machine, by the scope that the inventory wants and the login allows."""
    python = next((python.path for python in fitting_pythons(machine, host)), "python3")
    is_system = host.scope == "system" or (host.scope == "auto" and not host.folder and machine.may_become_root)
    if is_system:
        return Layout(
            is_system=True,
            has_systemd=machine.systemd is not None,
            root="/opt/splitfront",
            state="/var/lib/splitfront",
            logs="/var/log/splitfront",
            staging=f"{machine.home.rstrip('/')}/.cache/splitfront-install",
            python=python,
        )
    root = host.folder or f"{machine.home.rstrip('/')}/.local/share/splitfront-agent"
    return Layout(
        is_system=False,
        has_systemd=False,
        root=root,
        state=f"{root}/state",
        logs=f"{root}/log",
        staging=f"{root}/install",
        python=python,
    )
