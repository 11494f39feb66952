"""Stages that are deployed for as long as this process lasts: their nodes free them when nobody asks after them."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from coordinator.fleet import FleetNode
from node_agent.errors import NodeError

LEASE_SECONDS = 60.0
"""Stages of a process that was killed stay for so long."""
RENEW_SECONDS = 15.0


@contextmanager
def renewed_lease(nodes: Iterable[FleetNode], deployment: str) -> Iterator[None]:
    """Asks each node after a deployment, at once and then again and again, while the context lasts.

    A node that does not hold it yet does not mind: begun before stages are loaded, it keeps those that are ready while
    others are not. A node that does not answer is asked again, and delays no other.
    """
    ended = threading.Event()

    def renew(node: FleetNode) -> None:
        while not ended.is_set():
            with suppress(NodeError):
                node.client.status(renew=(deployment,))
            ended.wait(RENEW_SECONDS)

    threads = [
        threading.Thread(target=renew, args=(node,), name=f"lease of {deployment} on {node.name}", daemon=True)
        for node in nodes
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def free_stages(node: FleetNode, deployment: str) -> None:
    """Ends the stages of a deployment on a node. One that is gone holds none."""
    with suppress(NodeError):
        node.client.unload_stage(deployment)
