"""Several machines at a time: connections to them, and one function on each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from deploy.errors import DeployError
from deploy.inventory import Host
from deploy.runner import Runner
from deploy.ssh import Ask, HostKeyRules, connect

Result = TypeVar("Result")
MOST_AT_ONCE = 16


class FleetAccess:
    """Connections to machines. A context manager: it ends them."""

    def __init__(self, hosts: Sequence[Host], rules: HostKeyRules, ask: Ask) -> None:
        self.hosts = tuple(hosts)
        self._rules = rules
        self._ask = asking_once(ask)
        self._runners: dict[str, Runner] = {}
        self._pool = ThreadPoolExecutor(min(MOST_AT_ONCE, max(1, len(self.hosts))), thread_name_prefix="ssh")

    def __enter__(self) -> "FleetAccess":
        return self

    def __exit__(self, *_: object) -> None:
        for runner in self._runners.values():
            runner.close()  # first: it ends what still waits for a machine
        self._pool.shutdown(wait=True, cancel_futures=True)

    def connect(self) -> dict[str, DeployError]:
        """Connects to all; says of whom it could not, and why."""

        def connect_one(host: Host) -> Runner:
            return connect(host.ssh, self._rules, self._ask, jump=host.jump)

        results = self._on_each(self.hosts, connect_one)
        self._runners = {name: result for name, result in results.items() if not isinstance(result, DeployError)}
        return {name: result for name, result in results.items() if isinstance(result, DeployError)}

    def on_each(self, work: Callable[[Runner, Host], Result]) -> dict[str, Result | DeployError]:
        """What `work` gives, or why it failed, for each machine that is connected; in the order of the inventory."""
        connected = [host for host in self.hosts if host.name in self._runners]
        return self._on_each(connected, lambda host: work(self._runners[host.name], host))

    def runner(self, name: str) -> Runner:
        """The connection to a machine that is connected."""
        return self._runners[name]

    def _on_each(self, hosts: Sequence[Host], work: Callable[[Host], Result]) -> dict[str, Result | DeployError]:
        def guarded(host: Host) -> Result | DeployError:
            try:
                return work(host)
            except DeployError as exc:
                return exc

        return dict(zip((host.name for host in hosts), self._pool.map(guarded, hosts), strict=True))


def asking_once(ask: Ask) -> Ask:
    """`ask`, one question at a time, each question once: a passphrase serves several machines. Kept in memory only."""
    lock = threading.Lock()
    answers: dict[str, str | None] = {}

    def asked(question: str) -> str | None:
        with lock:
            if question not in answers:
                answers[question] = ask(question)
            return answers[question]

    return asked
