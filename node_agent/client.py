"""A remote node, with the same methods as a local one."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import grpc

from node_agent import wire_codec
from node_agent.api import PROTOCOL_MAX, PROTOCOL_MIN, Transfer, remedy_of_mismatch
from node_agent.channel_options import open_channel
from node_agent.config import TlsFiles, parse_address
from node_agent.errors import (
    AgentConfigError,
    NodeError,
    NodeUnreachableError,
    ProtocolMismatchError,
    RequestRejectedError,
)
from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    CodecSample,
    NodeDescription,
    NodeStatus,
    ProbeRequest,
    ProbeSample,
    ProfileEvent,
    ProfileRequest,
    StageLoad,
    StageLoaded,
    StageStatus,
)
from node_agent.wire import agent_pb2, agent_pb2_grpc
from node_agent.wire_blobs import OutgoingBlobs
from node_agent.wire_errors import error_from_rpc

_LOAD_SECONDS = 300.0
_PUT_SECONDS = 60.0
_PUT_BYTES_PER_SECOND = 20_000.0
"""Slower than this a transfer counts as stuck."""

_PROFILE_EXTRA_SECONDS = 900.0
"""Beyond the budget: opening sessions, and at least three rounds on a slow machine."""

_PROBE_SECONDS = 900.0


class NodeClient:
    """A node elsewhere; the methods are those of `api.Node`. Thread-safe. Made by `connect`, ended by `close`."""

    def __init__(self, address: str, channel: grpc.Channel, timeout_seconds: float) -> None:
        self.address = address
        self._channel = channel
        self._stub = agent_pb2_grpc.NodeStub(channel)
        self._timeout_seconds = timeout_seconds
        self._is_closed = False

    @classmethod
    def connect(cls, address: str, *, tls: TlsFiles | None = None, timeout_seconds: float = 10.0) -> Self:
        """A client of the node at `address`, which has answered and speaks our protocol.

        Args:
            address: `HOST:PORT`.
            tls: Files of this end, where the node speaks TLS.
            timeout_seconds: For short calls; those that move data or work have longer ones.

        Raises:
            RequestRejectedError: `address` is none.
            NodeUnreachableError: Nobody answers.
            ProtocolMismatchError: The node speaks other versions, or is no node.
        """
        try:
            parse_address(address)
        except AgentConfigError as exc:
            raise RequestRejectedError(str(exc)) from exc
        client = cls(address, open_channel(address, tls), timeout_seconds)
        try:
            client.describe()
        except Exception:
            client.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection, and with it calls that wait."""
        self._is_closed = True
        self._channel.close()

    @contextmanager
    def _errors(self, call: str) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as exc:
            raise error_from_rpc(exc, self.address, call) from exc
        except ValueError as exc:
            if isinstance(exc, NodeError) or not self._is_closed:
                raise
            raise NodeUnreachableError(f"The connection to the node at {self.address} was closed here.") from exc

    def describe(self) -> NodeDescription:
        """What the node is.

        Raises:
            ProtocolMismatchError: The node speaks other versions.
        """
        wanted = agent_pb2.DescribeRequest(protocol_min=PROTOCOL_MIN, protocol_max=PROTOCOL_MAX)
        with self._errors("Describe"):
            answer = self._stub.Describe(wanted, timeout=self._timeout_seconds)
        description: NodeDescription = wire_codec.from_wire(answer)
        if not PROTOCOL_MIN <= description.protocol <= PROTOCOL_MAX:
            raise ProtocolMismatchError(
                f"The node at {self.address} answers with protocol {description.protocol}, this client speaks "
                f"{PROTOCOL_MIN} to {PROTOCOL_MAX}: "
                + remedy_of_mismatch(is_node_older=description.protocol < PROTOCOL_MIN)
            )
        return description

    def status(self, renew: Iterable[str] = ()) -> NodeStatus:
        """How the node is; the leases of the deployments `renew` begin anew."""
        with self._errors("Status"):
            answer = self._stub.Status(agent_pb2.StatusRequest(renew=renew), timeout=self._timeout_seconds)
        status: NodeStatus = wire_codec.from_wire(answer)
        return status

    def missing_blobs(self, blobs: Iterable[BlobRef]) -> tuple[BlobRef, ...]:
        """Those of `blobs` that the node's store lacks."""
        with self._errors("MissingBlobs"):
            answer = self._stub.MissingBlobs(wire_codec.blobs_to_wire(blobs), timeout=self._timeout_seconds)
        return wire_codec.blobs_from_wire(answer)

    def put_blob(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        """Stores a blob on the node."""
        self.put_blobs(((blob, chunks),))

    def put_blobs(self, transfers: Iterable[Transfer]) -> None:
        """Stores blobs on the node over one stream; chunks above 1 MiB are sent in parts.

        What the chunks raise is raised here.
        """
        transfers = tuple(transfers)
        if not transfers:
            return
        n_bytes = sum(blob.n_bytes - blob.n_have for blob, _ in transfers)
        outgoing = OutgoingBlobs(transfers)
        try:
            with self._errors("PutBlob"):
                self._stub.PutBlob(iter(outgoing), timeout=_PUT_SECONDS + n_bytes / _PUT_BYTES_PER_SECOND)
        finally:
            if outgoing.fault is not None:
                raise outgoing.fault

    def load_stage(self, load: StageLoad) -> StageLoaded:
        """Makes a stage ready on the node."""
        with self._errors("LoadStage"):
            answer = self._stub.LoadStage(wire_codec.to_wire(load), timeout=_LOAD_SECONDS)
        loaded: StageLoaded = wire_codec.from_wire(answer)
        return loaded

    def unload_stage(self, deployment: str, *, first_epoch: int = 0, last_epoch: int | None = None) -> int:
        """Ends the stages of a deployment, of the epochs in between, on the node and says how many there were."""
        wanted = agent_pb2.StageUnload(deployment=deployment, first_epoch=first_epoch, last_epoch=last_epoch)
        with self._errors("UnloadStage"):
            answer = self._stub.UnloadStage(wanted, timeout=_LOAD_SECONDS)
        return answer.n_stages

    def list_stages(self) -> tuple[StageStatus, ...]:
        """All stages that are loaded."""
        with self._errors("ListStages"):
            answer = self._stub.ListStages(agent_pb2.ListStagesRequest(), timeout=self._timeout_seconds)
        return tuple(map(wire_codec.from_wire, answer.stages))

    def profile(self, request: ProfileRequest) -> Generator[ProfileEvent, None, None]:
        """Times segments on the node; closing the iterator ends the work there."""
        timeout = request.budget_seconds + _PROFILE_EXTRA_SECONDS
        call = self._stub.Profile(wire_codec.to_wire(request), timeout=timeout)
        try:
            with self._errors("Profile"):
                for event in call:
                    yield wire_codec.event_from_wire(event)
        finally:
            call.cancel()

    def probe_link(self, request: ProbeRequest) -> tuple[ProbeSample, ...]:
        """Times messages from the node to another one."""
        with self._errors("ProbeLink"):
            answer = self._stub.ProbeLink(wire_codec.to_wire(request), timeout=_PROBE_SECONDS)
        return tuple(map(wire_codec.from_wire, answer.samples))

    def profile_codecs(self, request: CodecProfileRequest) -> tuple[CodecSample, ...]:
        """Times codecs of boundary tensors on the node."""
        with self._errors("ProfileCodecs"):
            answer = self._stub.ProfileCodecs(wire_codec.to_wire(request), timeout=_PROBE_SECONDS)
        return tuple(map(wire_codec.from_wire, answer.samples))
