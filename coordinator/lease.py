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
    """Asks after a deployment while the context lasts. A node that does not answer is asked again."""
    asked = tuple(nodes)
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_SECONDS):
            for node in asked:
                with suppress(NodeError):
                    node.client.status(renew=(deployment,))

    thread = threading.Thread(target=renew, name=f"lease of {deployment}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def free_stages(node: FleetNode, deployment: str) -> None:
    """Ends the stages of a deployment on a node. One that is gone holds none."""
    with suppress(NodeError):
        node.client.unload_stage(deployment)
