"""A fact: one shell command that changes nothing, and a pure parser of its output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deploy.runner import Runner, checked

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Generic[Value]):
    """How something about a machine is found out."""

    name: str
    command: str
    """POSIX shell; prints lines `key value`. Asks for nothing that may be missing without saying so in its output."""
    parse: Callable[[str], Value]


def gather(runner: Runner, fact: Fact[Value], *, is_privileged: bool = False) -> Value:
    """The fact about the runner's machine.

    Raises:
        CommandFailedError: The shell there is none.
        HostUnreachableError: The connection broke.
    """
    command = f"LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin\n{fact.command}\nexit 0"
    return fact.parse(checked(runner.run(command, is_privileged=is_privileged), f"find out its {fact.name}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLines:
    """Output in lines of `key value`; a key may come several times."""

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> "KeyLines":
        """The pairs of a text; lines without a key are left out."""
        split = (line.strip().partition(" ") for line in text.splitlines())
        return cls(pairs=tuple((key, value.strip()) for key, _, value in split if key))

    def first(self, key: str) -> str:
        """The first value of a key, or nothing."""
        return next((value for name, value in self.pairs if name == key), "")

    def every(self, key: str) -> tuple[str, ...]:
        """All values of a key."""
        return tuple(value for name, value in self.pairs if name == key)

    def number(self, key: str) -> int | None:
        """The first value as a whole number; None where it is none."""
        text = self.first(key)
        return int(text) if text.lstrip("-").isdecimal() else None
