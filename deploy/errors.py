"""The errors of `deploy`.

DeployError
├── HostUnreachableError (ConnectionError)   nobody answers, or the connection broke
├── HostKeyError (PermissionError)           a host's key is unknown, or is not the one that was
├── LoginRefusedError (PermissionError)      the host takes none of our keys or passwords
├── PrivilegeError (PermissionError)         root is needed and cannot be had
├── CommandFailedError                       a command ended badly; holds its status
├── StepFailedError                          a step ended badly; says what was undone
├── UnsuitableHostError                      a machine cannot be a node; holds why
├── WheelsError                              the packages for a node cannot be had
├── NoTestbedError                           there can be no testbed on this machine
└── PkiError (ValueError)                    the cluster's authority cannot do, or refuses, what was asked
"""

from collections.abc import Iterable


class DeployError(Exception):
    """Base of all errors of this package."""


class HostUnreachableError(DeployError, ConnectionError):
    """Nobody answers at an address, or a connection broke."""


class HostKeyError(DeployError, PermissionError):
    """A host's key is unknown, or is another one than before."""


class LoginRefusedError(DeployError, PermissionError):
    """A host takes none of the keys and passwords that were offered."""


class PrivilegeError(DeployError, PermissionError):
    """A step needs root, and root cannot be had."""


class CommandFailedError(DeployError):
    """A command on a host ended badly.

    Attributes:
        status: Its exit status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        """`message` says what the command was for."""
        self.status = status
        super().__init__(message)


class StepFailedError(DeployError):
    """A step of a plan ended badly."""


class UnsuitableHostError(DeployError):
    """A machine cannot be a node.

    Attributes:
        reasons: One sentence for each, with its remedy.
    """

    def __init__(self, host: str, reasons: Iterable[str]) -> None:
        """Names the host and all reasons."""
        self.reasons = tuple(reasons)
        super().__init__(f"{host!r} cannot be a node: {'; '.join(self.reasons)}")


class WheelsError(DeployError):
    """The packages that a node needs cannot be had."""


class NoTestbedError(DeployError):
    """There can be no testbed on this machine, or it broke."""


class PkiError(DeployError, ValueError):
    """The cluster's authority cannot do what was asked, or refuses it. Never holds a secret."""
