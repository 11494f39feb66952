"""What can be done to one machine: facts, planning and steps put together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from shlex import quote

from deploy.apply import OnStep, apply_steps
from deploy.errors import CommandFailedError, DeployError
from deploy.facts.fact import gather
from deploy.facts.installed import Installed, installed_fact
from deploy.facts.machine import MACHINE, Machine
from deploy.facts.network import NETWORK
from deploy.identity import Signer, identity_steps, revocations_step
from deploy.inventory import Host
from deploy.layout import Layout, layout_of
from deploy.planning.install import health_step, plan_install, restart_step, tls_steps
from deploy.planning.removal import plan_removal
from deploy.planning.service import health_command, log_command
from deploy.planning.shaping import Shape, check_shaping, plan_shaping
from deploy.planning.suitability import Platform, choose_python
from deploy.planning.wanted import Wanted, Wheel
from deploy.runner import Runner
from deploy.steps import Step, StepResult
from deploy.units import agent_address, managed_files

GatherWheels = Callable[[Platform], tuple[Wheel, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A machine and what of ours is there."""

    host: Host
    machine: Machine
    layout: Layout
    installed: Installed

    @property
    def address(self) -> str:
        """Where its agent answers on its own machine."""
        return self.installed.confirmed_address or agent_address(self.host.agent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done to a machine, or would be."""

    node: str
    outcome: str
    """`changed`, `unchanged`, `planned` or `failed`."""
    message: str
    steps: tuple[StepResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """How an installed node is."""

    node: str
    state: str
    """`healthy`, `running` (but not healthy), `stopped`, `absent` or `failed` (nobody can tell)."""
    release: str = ""
    service: str = ""
    """`systemd` or `supervisor`."""
    pid: int = 0
    n_restarts: int = 0
    message: str = ""


def survey(runner: Runner, host: Host) -> Survey:
    """What is to be known before anything is planned.

    Raises:
        HostUnreachableError: The connection broke.
    """
    fact = MACHINE
    if host.python:
        fact = replace(fact, command=f"SPLITFRONT_PYTHON={quote(host.python)}\n{fact.command}")
    machine = gather(runner, fact)
    layout = layout_of(host, machine)
    needs_root = layout.is_system and not layout.has_systemd and machine.may_become_root
    installed = gather(runner, installed_fact(layout), is_privileged=needs_root)
    return Survey(host=host, machine=machine, layout=layout, installed=installed)


def wanted_on(found: Survey, gather_wheels: GatherWheels, signer: Signer | None, *, health_seconds: float) -> Wanted:
    """What should be on a machine.

    Raises:
        UnsuitableHostError: The machine cannot be a node.
        WheelsError: Its packages cannot be had.
        DeployError: The folder is somebody else's, or it must serve TLS and has no certificate and no way to one,
            or a revoked one.
    """
    host, layout = found.host, found.layout
    if found.installed.is_foreign:
        raise DeployError(
            f"{layout.root} on {host.name!r} holds other things ({found.installed.others_text}) and nothing of ours: "
            "name a folder that is new or empty with ssh: {folder: …}."
        )
    python, platform = choose_python(found.machine, host)
    wheels = gather_wheels(platform)
    wanted = Wanted(
        version=next(wheel.name.split("-")[1] for wheel in wheels if wheel.name.startswith("splitfront-")),
        python=python,
        wheels=wheels,
        files=managed_files(host.agent, layout, found.machine.systemd),
        address=agent_address(host.agent),
        server_name=host.address if host.agent.tls.is_mutual else "",
        health_seconds=health_seconds,
    )
    if not wanted.server_name:
        return wanted
    return replace(wanted, identity_steps=identity_steps(host, layout, wanted, found.installed, signer))


def install(
    runner: Runner,
    host: Host,
    gather_wheels: GatherWheels,
    signer: Signer | None = None,
    *,
    health_seconds: float = 60.0,
    only_upgrade: bool = False,
) -> "Planned":
    """What takes a machine to a running agent of this version.

    Raises:
        DeployError: The machine cannot be a node, or nothing is there that could be upgraded.
    """
    found = survey(runner, host)
    if only_upgrade and not found.installed.current:
        raise DeployError(f"Nothing is installed on {host.name!r} that could be upgraded: use install.")
    wanted = wanted_on(found, gather_wheels, signer, health_seconds=health_seconds)
    steps = plan_install(found.installed, wanted, found.layout)
    done = f"runs {wanted.release} on port {host.agent.port}"
    return Planned(node=host.name, steps=steps, lock=found.layout.lock, done=done)


def restart(runner: Runner, host: Host, *, health_seconds: float = 60.0) -> "Planned":
    """What starts an agent anew.

    Raises:
        DeployError: There is none.
    """
    found = survey(runner, host)
    if not found.installed.current:
        raise DeployError(f"Nothing is installed on {host.name!r} that could be started: use install.")
    health = health_step(
        found.layout,
        found.address,
        health_seconds=health_seconds,
        server_name=found.installed.confirmed_server_name,
    )
    return Planned(
        node=host.name, steps=(restart_step(found.layout), health), lock=found.layout.lock, done="started anew"
    )


def uninstall(runner: Runner, host: Host) -> "Planned":
    """What leaves a machine as it was."""
    found = survey(runner, host)
    qdiscs = gather(runner, NETWORK).qdiscs
    steps = plan_removal(found.installed, qdiscs, found.layout)
    stays = f"; {found.layout.root} stays, with {found.installed.others_text}" if found.installed.others else ""
    return Planned(node=host.name, steps=steps, lock=found.layout.lock, done=f"nothing of ours is left{stays}")


def hand_revocations(runner: Runner, host: Host, revoked: bytes) -> "Planned":
    """What gives a node the newest list of revoked certificates; its agent ends open data streams by it, too."""
    found = survey(runner, host)
    steps = (*tls_steps(found.installed, found.layout), revocations_step(found.layout, revoked))
    has_list = bool(found.installed.current and found.installed.confirmed_server_name)
    done = "knows the newest list of revoked certificates" if has_list else "serves no TLS that we installed"
    return Planned(node=host.name, steps=steps if has_list else (), lock=found.layout.lock, done=done)


def shape_host(runner: Runner, host: Host, shape: Shape | None, *, interface: str | None, is_sure: bool) -> "Planned":
    """What shapes an interface of a machine, that of its default route unless named; None: shapes it no more.

    Raises:
        DeployError: Something is missing, or it could cut the connection and nobody said that it may.
    """
    machine, network = gather(runner, MACHINE), gather(runner, NETWORK)
    chosen = interface or network.default_interface
    if not chosen:
        raise DeployError(f"{host.name!r} has no default route: name the interface with --interface.")
    check_shaping(chosen, shape, machine, network, is_sure=is_sure)
    steps = plan_shaping(chosen, shape, network)
    done = f"{chosen} is shaped" if shape else f"{chosen} is not shaped"
    return Planned(node=host.name, steps=steps, lock=layout_of(host, machine).lock, done=done)


def state(runner: Runner, host: Host) -> NodeState:
    """How a node is."""
    found = survey(runner, host)
    installed, layout = found.installed, found.layout
    service = "systemd" if layout.has_systemd else "supervisor"
    if not installed.current:
        is_begun = installed.folders and not installed.is_foreign
        words = "an install was broken off: run it again" if is_begun else "nothing is installed"
        return NodeState(node=host.name, state="absent", message=words)
    problem = ""
    if installed.is_active:
        probe = health_command(layout, found.address, within_seconds=2, server_name=installed.confirmed_server_name)
        asked = runner.run(probe, is_privileged=layout.is_system)
        problem = asked.last_words if asked.status else ""
    if not problem and installed.confirmed_release != installed.current:
        problem = "it was never found healthy: run install again"
    working = "running" if problem else "healthy"
    return NodeState(
        node=host.name,
        state=working if installed.is_active else "stopped",
        release=installed.current,
        service=service,
        pid=installed.pid,
        n_restarts=installed.n_restarts,
        message=problem,
    )


def log_lines(runner: Runner, host: Host, *, n_lines: int, follows: bool = False) -> Iterator[str]:
    """The newest lines of a node's log, and what comes then."""
    layout = survey(runner, host).layout
    yield from runner.lines(log_command(layout, n_lines, follows=follows), is_privileged=layout.is_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What would be done to a machine."""

    node: str
    steps: tuple[Step, ...]
    lock: str
    done: str
    """What holds afterwards."""

    def apply(self, runner: Runner, on_step: OnStep) -> Report:
        """Does it.

        Raises:
            DeployError: A step failed.
        """
        try:
            results = apply_steps(self.steps, runner, self.lock, on_step)
        except CommandFailedError as exc:
            raise DeployError(f"{self.node!r}: {exc}.") from exc
        is_changed = any(result.outcome == "changed" for result in results)
        words = self.done if is_changed else f"nothing to do: {self.done}"
        return Report(node=self.node, outcome="changed" if is_changed else "unchanged", message=words, steps=results)

    def describe(self) -> Report:
        """What would be done, without doing it."""
        results = tuple(
            StepResult(name=step.name, description=step.description, outcome="planned") for step in self.steps
        )
        words = f"{len(results)} steps" if results else f"nothing to do: {self.done}"
        return Report(node=self.node, outcome="planned", message=words, steps=results)
