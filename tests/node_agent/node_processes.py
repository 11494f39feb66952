"""Real agents for tests: separate processes that end with the test, whatever happens."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node_agent.dataplane.planes import GRPC

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class AgentProcess:
    process: subprocess.Popen[str]
    address: str
    log: Path
    tcp_port: int

    def at(self, plane: str) -> str:
        """Where it listens for a data plane."""
        return self.address if plane == GRPC else f"127.0.0.1:{self.tcp_port}"

    def kill(self) -> None:
        """As `kill -9`."""
        self.process.kill()
        self.process.wait(10)


def agent_command(folder: Path, *words: str) -> list[str]:
    defaults = ["--listen", "127.0.0.1:0", "--store", str(folder / "store"), "--threads", "1", "--exit-with-stdin"]
    return [sys.executable, "-m", "node_agent", *defaults, *words]


@contextmanager
def running_agent(folder: Path, *words: str) -> Iterator[AgentProcess]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            agent_command(folder, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
            text=True,
        )
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f"the agent did not start: {log.read_text()}")
        said = json.loads(line)
        yield AgentProcess(process, said["address"], log, said["tcp_port"])
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        process.stdout.close()
