"""Raw frames to an agent over each data plane, for tests that send what no client of ours would."""

import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import grpc

from node_agent.channel_options import open_channel
from node_agent.dataplane.grpc_link import SERVICE
from node_agent.dataplane.planes import GRPC, TCP
from node_agent.dataplane.tcp.records import NAMED, RECORD, Record, Wanted, preamble, read_error
from node_agent.wire_errors import METADATA_KEY

_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a stream ended."""

    error: str
    """Name of one of our errors; that of a gRPC status where the transport refused; empty: without an error."""
    message: str


class GrpcPlane:
    """One connection; each call opens a stream of its own."""

    too_large = "RESOURCE_EXHAUSTED"
    """What ends a stream on which a message above the limit came."""

    def __init__(self, address: str):
        self._channel = open_channel(address, None)

    def __enter__(self) -> "GrpcPlane":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def push(self, frames: Iterable[bytes], call: str = "Push") -> Ended:
        """Sends frames, ends its side of the stream, and waits for the node's; what comes back is let go."""
        stream = self._channel.stream_stream(f"/{SERVICE}/{call}", None, None)(iter(frames), timeout=_SECONDS)
        try:
            for _ in stream:
                pass
        except grpc.RpcError as exc:
            names = [str(value) for key, value in exc.trailing_metadata() or () if key == METADATA_KEY]
            return Ended(error=names[0] if names else exc.code().name, message=exc.details() or "")
        return Ended(error="", message="")


class TcpPlane:
    """As `GrpcPlane`; each call opens a connection of its own."""

    too_large = "RequestRejectedError"

    def __init__(self, address: str):
        host, port = address.rsplit(":", 1)
        self._address = host, int(port)

    def __enter__(self) -> "TcpPlane":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def push(self, frames: Iterable[bytes], call: str = "Push") -> Ended:
        with socket.create_connection(self._address, timeout=_SECONDS) as connection:
            with suppress(ConnectionError):  # the node has had enough; it says why
                connection.sendall(preamble(Wanted[call.upper()]))
                for frame in frames:
                    connection.sendall(RECORD.pack(Record.MESSAGE, len(frame)) + frame)
                connection.sendall(NAMED[Record.END])
            with connection.makefile("rb") as received, suppress(ConnectionError):
                while header := received.read(RECORD.size):
                    kind, n_bytes = RECORD.unpack(header)
                    content = received.read(n_bytes)
                    if kind == Record.ERROR:
                        error = read_error(content)
                        return Ended(error=type(error).__name__, message=str(error))
                    if kind == Record.END:
                        return Ended(error="", message="")
        return Ended(error="cut", message="the node closed the connection without a reason")


PLANES = {GRPC: GrpcPlane, TCP: TcpPlane}
"""Each wants the address at which an agent listens for it."""
