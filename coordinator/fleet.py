"""The nodes of a cluster, up and connected."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from coordinator.company import Places
from coordinator.config import ClusterConfig, NodeConfig
from coordinator.config.sections import SecurityConfig
from coordinator.errors import NodeDownError
from coordinator.local_nodes import AGENT, LocalNodes
from coordinator.ports import Connect, NodeConnection
from coordinator.side_by_side import run_side_by_side
from node_agent.api import Node
from node_agent.config import TlsFiles
from node_agent.dataplane.planes import GRPC, data_address
from node_agent.errors import (
    AgentConfigError,
    NodeError,
    NodeUnreachableError,
    PeerRefusedError,
    ProtocolMismatchError,
    RequestRejectedError,
    TlsRefusedError,
)
from node_agent.messages import NodeDescription
from node_agent.tls.diagnosis import explained
from node_agent.tls.identity import CONTROL
from partitioner.cluster import CLIENT, Device

Result = TypeVar("Result")

_MAX_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetNode:
    """One node that answers."""

    name: str
    """Of the cluster's description; the agent may call itself otherwise."""
    address: str
    client: Node
    description: NodeDescription
    config: NodeConfig
    tls: TlsFiles | None
    """With which it is spoken to; None in clear."""
    input_plane: str = GRPC
    """Data plane of the link from the client."""
    output_plane: str = GRPC
    """Of the link to the client."""

    def data_address(self, plane: str) -> str:
        """Where it listens for a data plane.

        Raises:
            RequestRejectedError: It does not.
        """
        return data_address(self.address, self.description, plane)

    @property
    def is_paced(self) -> bool:
        """Whether its stage times hold by construction and prove nothing about a prediction of them."""
        return self.description.slowdown > 0

    @property
    def is_limited(self) -> bool:
        """Whether the system leaves it less than its cores: it computes slowly, but computes."""
        return self.description.cpu_limit > 0

    @property
    def device(self) -> Device:
        """What the cost model may count on: the memory of the cluster's description, else all that the node has."""
        memory_bytes = self.config.memory_bytes or self.description.memory_bytes
        return Device(
            name=self.name,
            memory_bytes=memory_bytes,
            emulation=self.config.describe_emulation(),
            active_watts=self.config.active_watts,
            idle_watts=self.config.idle_watts,
        )


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """All nodes of a cluster. May be shared between threads, as its clients may."""

    config: ClusterConfig
    nodes: tuple[FleetNode, ...]
    """In the order of the description."""

    @cached_property
    def node_of(self) -> dict[str, FleetNode]:
        """Node of each name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def places(self) -> Places:
        """Machine and processors of each node."""
        return Places(
            host_of={node.name: node.description.host_id for node in self.nodes},
            cores_of={node.name: node.description.cores for node in self.nodes},
        )


def on_each_node(nodes: Iterable[FleetNode], work: Callable[[FleetNode], Result]) -> list[Result]:
    """What `work` gives for every node, host by host: nodes of one host one after another, hosts side by side.

    The first error, or an interrupt, ends the wait; what is still at work ends with the connection to its node.
    """
    ordered = sorted(nodes, key=lambda node: node.description.host_id)
    hosts = [list(group) for _, group in groupby(ordered, key=lambda node: node.description.host_id)]

    def work_in_turn(host: Sequence[FleetNode]) -> list[Result]:
        return [work(node) for node in host]

    return [result for done in run_side_by_side([partial(work_in_turn, host) for host in hosts]) for result in done]


def connect_node(address: str, *, tls: TlsFiles | None) -> NodeConnection:
    """A connection to an agent through gRPC.

    Raises:
        NodeError: Nobody answers there, or nobody we can talk to.
    """
    from node_agent.client import NodeClient  # noqa: PLC0415 - gRPC is loaded with the first connection

    try:
        return NodeClient.connect(address, tls=tls)
    except NodeUnreachableError as exc:
        raise explained(exc, address, tls, CONTROL) from exc


@contextmanager
def connect_fleet(
    config: ClusterConfig,
    *,
    run_dir: Path,
    connect: Connect = connect_node,
    local_command: Sequence[str] = AGENT,
) -> Iterator[Fleet]:
    """Starts the local nodes, connects to all nodes, and undoes both at the end.

    Args:
        config: The cluster.
        run_dir: The stores and logs of local nodes go to its folder `nodes`.
        connect: Opens a connection to a node.
        local_command: What a local node's options are added to.

    Raises:
        NodeDownError: Naming every node that cannot be started or reached, why, and what to do.
        RunFolderError: `run_dir` cannot be written.
    """
    local_configs = [node for node in config.nodes if node.local]
    with ExitStack() as stack:
        local = stack.enter_context(LocalNodes(local_configs, folder=run_dir / "nodes", command=local_command))
        addresses = {node.name: node.address for node in local.nodes}
        addresses |= {node.name: node.address for node in config.nodes if node.address is not None}
        connections: list[NodeConnection] = []
        stack.callback(_close_all, connections)

        def reach(node: NodeConfig) -> FleetNode | _Unreached:
            # Local agents speak in clear: nobody but this machine can reach them.
            tls = None if node.local else tls_files(config.security)
            try:
                client = connect(addresses[node.name], tls=tls)
                connections.append(client)
                return _found(config, node, client, address=addresses[node.name], tls=tls)
            except NodeError as exc:
                return _Unreached(node=node, address=addresses[node.name], error=exc)

        with ThreadPoolExecutor(min(_MAX_THREADS, len(config.nodes)), thread_name_prefix="connect") as pool:
            reached = list(pool.map(reach, config.nodes))
        yield Fleet(config=config, nodes=_all_reached(reached))


def tls_files(security: SecurityConfig) -> TlsFiles | None:
    """Files of this end, as the data plane wants them; None: it speaks in clear."""
    files = security.files
    if files is None:
        return None
    return TlsFiles(certificate=files.cert, key=files.key, authority=files.ca, revoked=files.revoked)


def _found(cluster: ClusterConfig, node: NodeConfig, client: Node, *, address: str, tls: TlsFiles | None) -> FleetNode:
    """The node at the other end of a connection.

    Raises:
        NodeError: It says nothing of itself, or does not listen for a data plane of its links.
    """
    found = FleetNode(
        name=node.name,
        address=address,
        client=client,
        description=client.describe(),
        config=node,
        tls=tls,
        input_plane=cluster.plane_of(CLIENT, node.name),
        output_plane=cluster.plane_of(node.name, CLIENT),
    )
    for plane in cluster.planes_at(node.name):
        found.data_address(plane)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unreached:
    node: NodeConfig
    address: str
    error: NodeError

    @property
    def remedy(self) -> str:
        return remedy_of(self.error, self.node, self.address)


def remedy_of(error: NodeError, node: NodeConfig, address: str) -> str:
    """What helps where a node cannot be used; without a full stop."""
    if isinstance(error, (AgentConfigError, PeerRefusedError, TlsRefusedError)):
        return "see `splitfront pki show`, and `splitfront pki --help` for which file goes where"
    if isinstance(error, ProtocolMismatchError):
        return "install the same version of splitfront on both machines"
    if isinstance(error, RequestRejectedError):
        return "install the same version of splitfront there, or choose data_plane: grpc for its links"
    if node.local:
        return "see agent.log in its folder below the run's"
    if node.ssh:
        return f"`splitfront nodes install {node.name}`, or, if it has an agent, `splitfront nodes logs {node.name}`"
    return (
        f"check that `python -m node_agent --listen {address}` runs there and that no firewall is between, "
        "or take the node out of the cluster"
    )


def _all_reached(reached: Sequence[FleetNode | _Unreached]) -> tuple[FleetNode, ...]:
    unreached = [one for one in reached if isinstance(one, _Unreached)]
    if unreached:
        lines = [f"  '{one.node.name}' at {one.address}: {one.error} Try: {one.remedy}." for one in unreached]
        message = "\n".join((f"{len(unreached)} of {len(reached)} nodes cannot be used:", *lines))
        raise NodeDownError(message, nodes=[one.node.name for one in unreached])
    return tuple(one for one in reached if isinstance(one, FleetNode))


def _close_all(connections: Sequence[NodeConnection]) -> None:
    """Closes all; an error in one keeps no other open."""
    with ExitStack() as stack:
        for connection in connections:
            stack.callback(connection.close)
