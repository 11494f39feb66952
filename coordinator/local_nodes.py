"""Agents on this machine as child processes, for `local: true`."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from coordinator.config import NodeConfig
from coordinator.cpu_groups import CpuGroup, make_group, remove_stale_groups
from coordinator.errors import NodeDownError, RunFolderError
from node_agent.config import cores_text

AGENT = (sys.executable, "-m", "node_agent")
_N_LOG_LINES = 8
_N_LOG_BYTES = 4096
_READ_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """A running agent on this machine."""

    name: str
    address: str
    """On loopback, with the port that it was given by the system."""
    pid: int
    log: Path
    """Its standard error, JSON lines."""


@dataclass(slots=True, kw_only=True)
class _Child:
    """An agent that was started and may not listen yet."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]
    group: CpuGroup | None = None
    """That holds it to its quota."""
    said: bytes = b""
    """The line of its standard output that is not complete yet."""
    has_ended: bool = False
    address: str = ""


class LocalNodes:
    """Starts one agent for each node and stops all of them when the context ends, however it ends.

    An agent ends with its standard input, too, so that none outlives this process even when that is killed. It leads a
    session of its own: the terminal's Ctrl-C reaches the coordinator only, which then stops its agents in order.
    Not to be shared between threads.
    """

    def __init__(
        self,
        nodes: Sequence[NodeConfig],
        *,
        folder: Path,
        command: Sequence[str] = AGENT,
        start_seconds: float = 60.0,
        stop_seconds: float = 5.0,
    ) -> None:
        """`folder` takes a store and a log for each node.

        `command` is what an agent's options are added to; the deadlines hold for all nodes together.
        """
        self._configs = tuple(nodes)
        self._folder = folder
        self._command = tuple(command)
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._children: list[_Child] = []

    def __enter__(self) -> Self:
        """Starts all agents and waits until they listen.

        Raises:
            NodeDownError: Some cannot be started or limited, end or say nothing in time; the others are stopped.
            RunFolderError: The folder cannot be written.
        """
        if self._configs:
            remove_stale_groups(seconds=self._stop_seconds)
        try:
            for config in self._configs:
                self._children.append(self._start(config))
            self._await_addresses()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def nodes(self) -> tuple[LocalNode, ...]:
        """The running agents, in the order of their descriptions."""
        return tuple(
            LocalNode(name=child.name, address=child.address, pid=child.process.pid, log=child.log)
            for child in self._children
        )

    def stop(self) -> None:
        """Asks all agents to end, first by their standard input, then by SIGTERM; kills those that do neither."""
        children, self._children = self._children, []
        try:
            for child in children:
                if child.group is not None:
                    child.group.lift()
                _close(child.process.stdin)
            _wait(children, self._stop_seconds)
            for child in children:
                child.process.terminate()
            _wait(children, self._stop_seconds)
        finally:
            for child in children:
                child.process.kill()
                child.process.wait()
                _close(child.process.stdout)
                if child.group is not None:
                    child.group.remove()

    def _start(self, config: NodeConfig) -> _Child:
        folder = self._folder / config.name
        log = folder / "agent.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            errors = log.open("wb")
        except OSError as exc:
            message = (
                f"Cannot write {log}, the log of local node '{config.name}': {exc.strerror}. Choose another folder."
            )
            raise RunFolderError(message) from exc
        command = [*self._command, *agent_options(config, store=folder / "store")]
        with errors, ExitStack() as undo:
            group = None
            if config.cpu_quota is not None:
                group = make_group(config.name, config.cpu_quota)
                undo.callback(group.remove)
                command = [*group.entrance, *command]
            process = _spawn(config.name, command, errors)
            undo.pop_all()
            return _Child(name=config.name, log=log, process=process, group=group)

    def _await_addresses(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                if child.process.stdout is not None:
                    selector.register(child.process.stdout, selectors.EVENT_READ, child)
            while selector.get_map() and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    _hear(key.data, os.read(key.fd, _READ_BYTES))
                    if key.data.address or key.data.has_ended:
                        selector.unregister(key.fileobj)
        failed = [child for child in self._children if not child.address]
        if failed:
            message = "\n".join(self._reason(child) for child in failed)
            raise NodeDownError(message, nodes=[child.name for child in failed])

    def _reason(self, child: _Child) -> str:
        if child.has_ended:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(self._stop_seconds)
            what = f"ended with status {child.process.poll()} before it listened"
        else:
            what = f"said no address within {self._start_seconds:g} s"
        last = "\n".join(f"    {line}" for line in _last_lines(child.log)) or "    (empty)"
        return f"Local node '{child.name}' {what}. Its log, {child.log}, ends with:\n{last}"


def _spawn(name: str, command: Sequence[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own program, its arguments come one by one
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    except OSError as exc:
        message = f"Cannot start local node '{name}' with {command[0]}: {exc.strerror}."
        raise NodeDownError(message, nodes=[name]) from exc


def agent_options(config: NodeConfig, *, store: Path) -> list[str]:
    """Options of `python -m node_agent` for a local node."""
    options = ["--listen", "127.0.0.1:0", "--name", config.name, "--store", str(store)]
    options += ["--exit-with-stdin", "--log-format", "json"]
    if config.threads is not None:
        options += ["--threads", str(config.threads)]
    for provider in config.providers:
        options += ["--provider", provider]
    if config.optimisation is not None:
        options += ["--optimisation", config.optimisation]
    if config.cores is not None:
        options += ["--cores", cores_text(config.cores)]
    if config.emulate is not None:
        options += ["--slowdown", f"{config.emulate.slowdown:g}"]
    return [*options, *config.limits.agent_options]


def _hear(child: _Child, said: bytes) -> None:
    """Takes in what the agent has said; nothing is the end of its output."""
    child.said += said
    child.has_ended = not said
    *lines, child.said = child.said.split(b"\n")
    child.address = child.address or next(filter(None, map(_address_in, lines)), "")


def _address_in(line: bytes) -> str:
    """The address in `{"event": "listening", "address": "127.0.0.1:41234"}`; empty in any other line."""
    try:
        said = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(said, dict) or said.get("event") != "listening":
        return ""
    return str(said.get("address", ""))


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()


def _wait(children: Sequence[_Child], seconds: float) -> None:
    """Waits until all have ended, `seconds` at most."""
    deadline = time.monotonic() + seconds
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - _N_LOG_BYTES))
        return lines.read().decode(errors="replace").splitlines()[-_N_LOG_LINES:]
