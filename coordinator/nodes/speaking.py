"""What the doctor finds when it speaks to an agent as a run would.

Over SSH an agent may be in the best of health, and yet refuse this end: for gRPC all refusals of TLS are a dead node.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from coordinator.config import ClusterConfig, NodeConfig
from coordinator.fleet import connect_node, remedy_of, tls_files
from coordinator.ports import Connect
from deploy.doctor.findings import GOOD, PROBLEM, WARNING, Finding
from node_agent.errors import NodeError, NodeUnreachableError, TlsRefusedError

_MOST_AT_ONCE = 16


def speak_to_agents(
    config: ClusterConfig, nodes: Sequence[NodeConfig], connect: Connect = connect_node
) -> Iterator[Finding]:
    """A finding for each of the nodes, in their order: whether its agent answers this end, and if not, why."""
    with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="agents") as pool:
        yield from pool.map(lambda node: _speak_to(config, node, connect), nodes)


def _speak_to(config: ClusterConfig, node: NodeConfig, connect: Connect) -> Finding:
    address, tls = str(node.address), tls_files(config.security)

    def finding(level: str, message: str, remedy: str = "") -> Finding:
        return Finding(node=node.name, about="agent", level=level, message=message, remedy=remedy)

    try:
        with closing(connect(address, tls=tls)) as connection:
            described = connection.describe()
    except NodeError as exc:
        is_silent = isinstance(exc, NodeUnreachableError) and not isinstance(exc, TlsRefusedError)
        level = WARNING if is_silent else PROBLEM  # before an install, nobody answers
        return finding(level, str(exc), remedy_of(exc, node, address))
    how = "in clear" if tls is None else "under mutual TLS"
    return finding(GOOD, f"answers {how} as {described.name!r}")
