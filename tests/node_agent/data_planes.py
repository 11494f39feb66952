"""Raw frames to an agent over each data plane, for tests that send what no client of ours would."""

from collections.abc import Iterable
from dataclasses import dataclass

import grpc

from node_agent.channel_options import open_channel
from node_agent.dataplane.grpc_link import SERVICE
from node_agent.wire_errors import METADATA_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a stream ended."""

    error: str
    """Name of one of our errors; that of a gRPC status where the transport refused; empty: without an error."""
    message: str


class GrpcPlane:
    """One connection; each call opens a stream of its own."""

    def __init__(self, address: str):
        self._channel = open_channel(address, None)

    def __enter__(self) -> "GrpcPlane":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def push(self, frames: Iterable[bytes], call: str = "Push") -> Ended:
        """Sends frames, ends its side of the stream, and waits for the node's; what comes back is let go."""
        stream = self._channel.stream_stream(f"/{SERVICE}/{call}", None, None)(iter(frames), timeout=30)
        try:
            for _ in stream:
                pass
        except grpc.RpcError as exc:
            names = [str(value) for key, value in exc.trailing_metadata() or () if key == METADATA_KEY]
            return Ended(error=names[0] if names else exc.code().name, message=exc.details() or "")
        return Ended(error="", message="")


PLANES = {"grpc": GrpcPlane}
"""Each wants the address of an agent."""
