"""Which data planes there are, and where a node listens for them. Loads no transport."""

from dataclasses import replace

from node_agent.config import parse_address
from node_agent.errors import RequestRejectedError
from node_agent.messages import NodeDescription

GRPC = "grpc"
TCP = "tcp"
PLANES = (GRPC, TCP)


def plane_named(name: str) -> str:
    """One of `PLANES`; nothing means `grpc`, since nodes of older versions say nothing.

    Raises:
        RequestRejectedError: There is no such plane.
    """
    if name and name not in PLANES:
        raise RequestRejectedError(f"There is no data plane {name!r}: want {' or '.join(PLANES)}.")
    return name or GRPC


def data_address(address: str, description: NodeDescription, plane: str) -> str:
    """Where a node that is controlled at `address` listens for a plane.

    Raises:
        RequestRejectedError: It does not, or there is no such plane.
    """
    if plane_named(plane) == GRPC:
        return address
    if not description.tcp_port:
        raise RequestRejectedError(
            f"Node {description.name!r} at {address} does not listen for the data plane tcp: it is older, or "
            "was started with --tcp-port off."
        )
    return str(replace(parse_address(address), port=description.tcp_port))
