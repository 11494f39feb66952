"""The nodes with a live connection each: one that is lost is cut off at once, one that is back is connected anew."""

import threading
from dataclasses import replace

from coordinator.fleet import Fleet, FleetNode, connect_node
from coordinator.ports import Connect, NodeConnection
from coordinator.serving.pulse import ANSWER_SECONDS
from node_agent.config import TlsFiles
from node_agent.errors import NodeError


class Roster:
    """Connections to the nodes of a fleet. Thread-safe."""

    def __init__(self, fleet: Fleet, connect: Connect = connect_node) -> None:
        """Takes nodes that are connected; the connections made later are the roster's own."""
        self._connect = connect
        self._lock = threading.Lock()
        self._fleet = fleet
        self._own: dict[str, NodeConnection] = {}

    @property
    def fleet(self) -> Fleet:
        """All nodes, each with its newest connection."""
        with self._lock:
            return self._fleet

    def node(self, name: str) -> FleetNode:
        """One node, with its newest connection."""
        return self.fleet.node_of[name]

    def renew(self, name: str) -> None:
        """Connects to a node anew and asks what it is: a new process may listen on other ports for the data plane.

        Calls that wait on the connection before end in an error.

        Raises:
            NodeError: It cannot be reached.
        """
        node = self.node(name)
        connection = self._connect(node.address, tls=node.tls)
        try:
            node = replace(node, client=connection, description=connection.describe())
        except NodeError:
            connection.close()
            raise
        with self._lock:
            nodes = tuple(node if one.name == name else one for one in self._fleet.nodes)
            self._fleet = replace(self._fleet, nodes=nodes)
            former = self._own.pop(name, None)
            self._own[name] = connection
        if former is not None:
            former.close()

    def drop(self, name: str) -> None:
        """Ends all calls that wait for a node which is lost."""
        with self._lock:
            connection = self._own.pop(name, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Ends the connections that the roster made."""
        with self._lock:
            own, self._own = self._own, {}
        for connection in own.values():
            connection.close()


class NodeHeart:
    """Beats one node over a connection of its own, so that no other call delays it, and renews a lease with each beat.

    Used by one thread; `close` may be called by another.
    """

    def __init__(self, address: str, tls: TlsFiles | None, deployment: str) -> None:
        self._address = address
        self._tls = tls
        self._deployment = deployment
        self._connection: NodeConnection | None = None

    def beat(self) -> str:
        """Name of the process that answers.

        Raises:
            NodeError: Nobody answered in time.
        """
        from node_agent.client import NodeClient  # noqa: PLC0415 - gRPC is loaded with the first connection

        if self._connection is None:
            self._connection = NodeClient.connect(self._address, tls=self._tls, timeout_seconds=ANSWER_SECONDS)
        connection = self._connection
        try:
            return connection.status(renew=(self._deployment,)).instance
        except NodeError:
            self._connection = None  # the next beat dials anew, and hears at once where nobody listens
            connection.close()
            raise

    def close(self) -> None:
        """Ends the connection, and a beat on it."""
        if self._connection is not None:
            self._connection.close()
