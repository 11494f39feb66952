"""A person at a terminal: runs a command on a pseudo-terminal and answers what it asks."""

import os
import pty
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    status: int
    screen: str
    """All that was shown."""
    asked: tuple[str, ...]
    """Which questions came, in their order."""


def sit_at(words: Sequence[str], answers: Mapping[str, str], *, cwd: Path, env: Mapping[str, str]) -> Session:
    """Answers each question by the text that it begins with, as often as it comes."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(words[0], [*words], {**env})
    shown, n_seen, asked = b"", 0, []
    ends_at = time.monotonic() + _SECONDS
    try:
        while time.monotonic() < ends_at:
            if not select.select([terminal], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # Linux: the other end has closed it
                break
            if not piece:
                break
            shown += piece
            for question, answer in answers.items():
                at = shown.find(question.encode(), n_seen)
                if at >= 0 and shown.find(b": ", at + len(question)) >= 0:
                    n_seen = len(shown)
                    asked.append(question)
                    os.write(terminal, f"{answer}\n".encode())
                    break
        else:
            os.kill(pid, 9)
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Session(status=status, screen=shown.decode(errors="replace"), asked=tuple(asked))
