"""Nodes that Kubernetes starts: a headless service leads to the addresses of its pods.

A pod is spoken to by the name that the cluster's DNS gives it within its service, such as
`10-0-0-7.agents.lab.svc.cluster.local`, because that is what a certificate can name. Nothing but DNS is asked, so
that no token is needed and no right to read anything.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterator, Sequence

from coordinator.config.sections import KubernetesConfig, NodeConfig

LONGEST_NAME = 23
"""Of a node that stands for pods: their addresses are added to it."""

Resolve = Callable[[str], Sequence[str]]
"""IP addresses of a host name, in any order. Raises `OSError` where there are none."""


def resolve(host: str) -> tuple[str, ...]:
    """See `Resolve`; by the system."""
    return tuple(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def with_pods(nodes: Sequence[NodeConfig], resolve: Resolve = resolve) -> tuple[NodeConfig, ...]:
    """The nodes, with those that stand for a service replaced by one for each of its pods.

    Raises:
        ValueError: A service leads nowhere, or DNS does not name its pods.
    """
    return tuple(found for node in nodes for found in _nodes_of(node, resolve))


def _nodes_of(node: NodeConfig, resolve: Resolve) -> Iterator[NodeConfig]:
    service = node.kubernetes
    if service is None:
        yield node
        return
    for address in sorted(set(_addresses(node.name, service, resolve)), key=_order):
        label = re.sub(r"[.:]", "-", address)
        host = f"{label}.{service.host}"
        try:
            is_named = address in resolve(host)
        except OSError:
            is_named = False
        if not is_named:
            raise ValueError(
                f"'{node.name}': the cluster's DNS does not know the pod {address} as {host}: CoreDNS does; with "
                "another one, write the address of each agent."
            )
        yield node.model_copy(
            update={"name": f"{node.name}-{label}", "address": f"{host}:{service.port}", "kubernetes": None}
        )


def _order(address: str) -> tuple[int, int]:
    found = ipaddress.ip_address(address)
    return found.version, int(found)


def _addresses(name: str, service: KubernetesConfig, resolve: Resolve) -> Sequence[str]:
    try:
        return resolve(service.host)
    except OSError as exc:
        raise ValueError(
            f"'{name}': {service.host} leads to no pod ({exc.strerror or exc}): run this where the cluster's DNS "
            "answers, as in a pod, and see `kubectl get endpointslices` for pods that are ready."
        ) from exc
