"""The errors of `coordinator`.

CoordinatorError
├── ConfigError (ValueError)             cluster.yaml cannot be used; holds all its faults
├── NodeDownError (ConnectionError)      nodes cannot be started or reached; holds their names
├── DeploymentError                      a plan could not be put on its nodes
│   ├── PlanRefusedError                 a node refused its stage; holds where
│   ├── NoPlanError                      no plan can be run on the nodes that are left
│   └── GivenUpError                     a service cannot bring any plan up, and has stopped trying
├── RequestLostError (ConnectionError)   nodes were lost as often as a request was tried
├── ServiceEndedError (ConnectionError)  a service was closed, or gave up; says why
├── OutputMismatchError (ArithmeticError)  a pipeline's outputs are not the whole model's
├── MeasurementError                     a run gave no figure that can be trusted
├── WorkersError (ConnectionError)       nobody computes: no such library, or a cluster that does not answer
├── RunFolderError (OSError)             a run's folder cannot be written or read
├── BundleError (ValueError)             a bundle cannot be made, or is not what was packed
├── ConditionError                       a network condition cannot be had on these nodes
└── ResultStoreError (OSError)           a store of results cannot be read or written
    ├── SweepUnknownError (LookupError)  it has no sweep of that name
    ├── SweepConflictError (ValueError)  it has another sweep of that name
    └── RunKnownError (ValueError)       it has another run of that case, repeat and attempt, or a done one
"""

from collections.abc import Iterable


class CoordinatorError(Exception):
    """Base of all errors of this package."""


class ConfigError(CoordinatorError, ValueError):
    """A cluster's description cannot be used.

    Attributes:
        faults: One sentence for each fault, beginning with its path in the file.
    """

    def __init__(self, source: str, faults: Iterable[str]) -> None:
        """Names `source`, the file or the call that the faults are in."""
        self.faults = tuple(faults)
        count = "a fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join((f"{source} has {count}:", *self.faults)))


class NodeDownError(CoordinatorError, ConnectionError):
    """Nodes cannot be started or reached.

    Attributes:
        nodes: Names of these nodes.
    """

    def __init__(self, message: str, *, nodes: Iterable[str] = ()) -> None:
        """`message` says of each node why and what to do."""
        self.nodes = tuple(nodes)
        super().__init__(message)


class DeploymentError(CoordinatorError):
    """A plan could not be put on its nodes."""


class PlanRefusedError(DeploymentError):
    """A node could not make its stage of a plan ready.

    Attributes:
        device: The node.
        next_device: That of the next stage; None where there is none, or several bear it.
        is_unreachable: Whether somebody could not be reached: the node, or the next one from there.
    """

    def __init__(self, message: str, *, device: str, next_device: str | None, is_unreachable: bool) -> None:
        """`message` says what the node said."""
        self.device = device
        self.next_device = next_device
        self.is_unreachable = is_unreachable
        super().__init__(message)


class NoPlanError(DeploymentError):
    """No plan can be run on the nodes that are left."""


class GivenUpError(DeploymentError):
    """A service cannot bring any plan up, and has stopped trying."""


class RequestLostError(CoordinatorError, ConnectionError):
    """A request was in flight each time when a node was lost, and was not tried again."""


class ServiceEndedError(CoordinatorError, ConnectionError):
    """A service answers no more: it was closed, or could not recover."""


class OutputMismatchError(CoordinatorError, ArithmeticError):
    """A pipeline's outputs are not those of the whole model."""


class MeasurementError(CoordinatorError):
    """A run gave no figure that can be trusted."""


class WorkersError(CoordinatorError, ConnectionError):
    """Those who were to compute are not there."""


class RunFolderError(CoordinatorError, OSError):
    """A run's folder cannot be written or read."""


class BundleError(CoordinatorError, ValueError):
    """A bundle cannot be made, or is not what was packed."""


class ConditionError(CoordinatorError):
    """A network condition cannot be had on these nodes."""


class ResultStoreError(CoordinatorError, OSError):
    """A store of results cannot be read or written."""


class SweepUnknownError(ResultStoreError, LookupError):
    """A store has no sweep of that name."""


class SweepConflictError(ResultStoreError, ValueError):
    """A store has another sweep of that name."""


class RunKnownError(ResultStoreError, ValueError):
    """A store has another run of the same case, repeat and attempt, or one of the repeat that is done."""
