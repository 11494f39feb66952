"""What the coordinator needs from outside, so that tests can put something else there."""

from typing import Protocol

from node_agent.api import Node
from node_agent.config import TlsFiles


class NodeConnection(Node, Protocol):
    """A node at the other end of a connection."""

    def close(self) -> None:
        """Ends the connection; the node goes on."""
        ...


class Connect(Protocol):
    """Opens connections to nodes. Called from several threads at once."""

    def __call__(self, address: str, *, tls: TlsFiles | None) -> NodeConnection:
        """A connection to the agent at `host:port`, in clear without `tls`.

        Raises:
            NodeError: Nobody answers there, or nobody we can talk to.
        """
        ...
