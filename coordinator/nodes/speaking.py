"""What the doctor finds when it speaks to an agent as a run would.

Over SSH an agent may be in the best of health, and yet refuse this end: for gRPC all refusals of TLS are a dead node.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from coordinator.config import ClusterConfig, NodeConfig
from coordinator.fleet import connect_node, remedy_of, tls_files
from coordinator.ports import Connect
from deploy.doctor.findings import GOOD, PROBLEM, WARNING, Finding
from node_agent.errors import NodeError, NodeUnreachableError, TlsRefusedError

_MOST_AT_ONCE = 16


def speak_to_agents(
    config: ClusterConfig, nodes: Sequence[NodeConfig], bare: Collection[str] = (), connect: Connect = connect_node
) -> Iterator[Finding]:
    """A finding for each of the nodes, in their order: whether its agent answers this end, and if not, why.

    Of those named in `bare` no agent is known to be installed: that they are silent is no problem yet.
    """

    def speak_to(node: NodeConfig) -> Finding:
        return _speak_to(config, node, connect, may_be_silent=node.name in bare)

    with ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="agents") as pool:
        yield from pool.map(speak_to, nodes)


def _speak_to(config: ClusterConfig, node: NodeConfig, connect: Connect, *, may_be_silent: bool) -> Finding:
    address, tls = str(node.address), tls_files(config.security)

    def finding(level: str, message: str, remedy: str = "") -> Finding:
        return Finding(node=node.name, about="agent", level=level, message=message, remedy=remedy)

    try:
        with closing(connect(address, tls=tls)) as connection:
            described = connection.describe()
    except NodeError as exc:
        is_silent = isinstance(exc, NodeUnreachableError) and not isinstance(exc, TlsRefusedError)
        level = WARNING if is_silent and may_be_silent else PROBLEM
        return finding(level, str(exc), remedy_of(exc, node, address))
    how = "in clear" if tls is None else "under mutual TLS"
    return finding(GOOD, f"answers {how} as {described.name!r}")
