"""The inventory: which machines of a cluster are reached over SSH, and what should run there."""

import getpass
from collections.abc import Collection

from coordinator.config import ClusterConfig, NodeConfig
from coordinator.config.address import Address, parse_address
from coordinator.config.faults import nearest
from coordinator.config.sections import SshEndpointConfig
from coordinator.errors import ConfigError
from deploy.inventory import AgentSettings, Host, SshEndpoint, TlsPolicy


def hosts_of(config: ClusterConfig, names: Collection[str] = ()) -> tuple[Host, ...]:
    """The machines of these nodes, or of all that have an `ssh` section.

    Raises:
        ConfigError: A name is unknown, a node has no `ssh` section, or there is none at all.
    """
    managed = {node.name: node for node in config.nodes if node.ssh is not None}
    faults = []
    for name in names:
        if name not in config.node_of:
            faults.append(f"there is no node '{name}': {nearest(name, config.node_of)}")
        elif name not in managed:
            faults.append(f"node '{name}' has no ssh section: `ssh: {{user: pi}}` may be enough")
    if not managed:
        faults.append("no node has an ssh section: `ssh: {user: pi}` may be enough")
    if faults:
        raise ConfigError(config.name, faults)
    return tuple(_host(node, config) for name, node in managed.items() if not names or name in names)


def remote_nodes(config: ClusterConfig, names: Collection[str] = ()) -> tuple[NodeConfig, ...]:
    """The nodes of these names, or all, that run elsewhere: with an `ssh` section or without.

    Raises:
        ConfigError: A name is unknown, or no node runs elsewhere.
    """
    unknown = [name for name in names if name not in config.node_of]
    faults = [f"there is no node '{name}': {nearest(name, config.node_of)}" for name in unknown]
    found = tuple(node for node in config.nodes if not node.local and (not names or node.name in names))
    if not found and not faults:
        faults.append("none of these nodes runs elsewhere: they are local, and started with a run")
    if faults:
        raise ConfigError(config.name, faults)
    return found


def _host(node: NodeConfig, config: ClusterConfig) -> Host:
    if node.ssh is None or node.address is None:
        raise ConfigError(config.name, [f"node '{node.name}' has no ssh section or no address"])
    ssh, address = node.ssh, parse_address(node.address)
    return Host(
        name=node.name,
        address=address.host,
        ssh=_endpoint(ssh, address),
        jump=_endpoint(ssh.jump, address) if ssh.jump else None,
        scope=ssh.scope,
        folder=ssh.folder.rstrip("/") if ssh.folder else None,
        python=ssh.python,
        agent=AgentSettings(
            name=node.name,
            port=address.port,
            is_loopback=address.is_loopback,
            tls=TlsPolicy(
                is_mutual=config.security.files is not None,
                allows_plaintext=config.security.plaintext is True,
            ),
            tcp_port=ssh.tcp_port,
            threads=node.threads,
            providers=node.providers,
            optimisation=node.optimisation,
            limits=node.limits.agent_options,
            cores=node.cores or (),
            memory_bytes=node.memory_bytes,
            cpu_quota=node.cpu_quota,
            has_gpu=ssh.gpu,
        ),
    )


def _endpoint(ssh: SshEndpointConfig, address: Address) -> SshEndpoint:
    return SshEndpoint(
        host=ssh.host or address.host,
        port=ssh.port,
        user=ssh.user or getpass.getuser(),
        key=ssh.key,
        fingerprint=ssh.fingerprint,
    )
