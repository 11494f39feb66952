"""The servicers: each method decodes, calls, encodes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import Any

import grpc

from node_agent import wire_codec
from node_agent.agent import Agent
from node_agent.api import PROTOCOL_MAX, PROTOCOL_MIN, remedy_of_mismatch
from node_agent.dataplane.grpc_link import ACCEPTED, SERVICE, PushReader
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.results import take_subscription
from node_agent.errors import PeerRefusedError, ProtocolMismatchError, RequestRejectedError
from node_agent.tls.identity import DATA
from node_agent.tls.interceptor import peer_certificate
from node_agent.tls.live import LiveTls
from node_agent.wire import agent_pb2, agent_pb2_grpc
from node_agent.wire_blobs import IncomingBlobs
from node_agent.wire_errors import errors_to_status

NODE_SERVICE = agent_pb2.DESCRIPTOR.services_by_name["Node"].full_name

Context = grpc.ServicerContext

_END_SECONDS = 0.5
"""Whose certificate was revoked has as long to hear why its stream ends."""


def negotiate(protocol_min: int, protocol_max: int, own: tuple[int, int] = (PROTOCOL_MIN, PROTOCOL_MAX)) -> int:
    """The newest protocol that both ends speak.

    Args:
        protocol_min: Oldest of the client.
        protocol_max: Newest of the client.
        own: Oldest and newest of the node.

    Raises:
        ProtocolMismatchError: There is none; the message says which end is older and what to do.
    """
    agreed = min(protocol_max, own[1])
    if agreed < max(protocol_min, own[0]):
        raise ProtocolMismatchError(
            f"The client speaks protocols {protocol_min} to {protocol_max}, the node {own[0]} to {own[1]}: "
            + remedy_of_mismatch(is_node_older=own[1] < protocol_min)
        )
    return agreed


class NodeServicer(agent_pb2_grpc.NodeServicer):
    """Control of a node, over gRPC."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def Describe(self, request: agent_pb2.DescribeRequest, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "Describe"):
            agreed = negotiate(request.protocol_min, request.protocol_max)
            description = wire_codec.to_wire(self._agent.describe())
            description.protocol = agreed
            return description

    def Status(self, request: agent_pb2.StatusRequest, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "Status"):
            return wire_codec.to_wire(self._agent.status(request.renew))

    def MissingBlobs(self, request: agent_pb2.BlobList, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "MissingBlobs"):
            return wire_codec.blobs_to_wire(self._agent.missing_blobs(wire_codec.blobs_from_wire(request)))

    def PutBlob(self, request_iterator: Iterator[agent_pb2.BlobChunk], context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "PutBlob"):
            incoming = IncomingBlobs(request_iterator)
            self._agent.put_blobs(incoming)
            return incoming.last

    def LoadStage(self, request: agent_pb2.StageLoad, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "LoadStage"):
            if not request.HasField("shard") or not request.shard.HasField("graph"):
                raise RequestRejectedError("A stage needs a shard, and a shard a graph.")
            return wire_codec.to_wire(self._agent.load_stage(wire_codec.from_wire(request)))

    def UnloadStage(self, request: agent_pb2.StageUnload, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "UnloadStage"):
            last_epoch = request.last_epoch if request.HasField("last_epoch") else None
            n_stages = self._agent.unload_stage(
                request.deployment, first_epoch=request.first_epoch, last_epoch=last_epoch
            )
            return agent_pb2.StageUnloaded(n_stages=n_stages)

    def ListStages(self, request: agent_pb2.ListStagesRequest, context: Context) -> Any:  # noqa: N802, D102, ARG002
        with errors_to_status(context, "ListStages"):
            return agent_pb2.StageList(stages=[wire_codec.to_wire(stage) for stage in self._agent.list_stages()])

    def Profile(self, request: agent_pb2.ProfileRequest, context: Context) -> Iterator[Any]:  # noqa: N802, D102
        with errors_to_status(context, "Profile"):
            if not all(segment.HasField("shard") and segment.shard.HasField("graph") for segment in request.segments):
                raise RequestRejectedError("Every segment needs a shard, and a shard a graph.")
            with closing(self._agent.profile(wire_codec.from_wire(request))) as events:
                for event in events:
                    yield wire_codec.event_to_wire(event)

    def ProbeLink(self, request: agent_pb2.ProbeRequest, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "ProbeLink"):
            samples = self._agent.probe_link(wire_codec.from_wire(request))
            return agent_pb2.ProbeResult(samples=[wire_codec.to_wire(sample) for sample in samples])

    def ProfileCodecs(self, request: agent_pb2.CodecProfileRequest, context: Context) -> Any:  # noqa: N802, D102
        with errors_to_status(context, "ProfileCodecs"):
            samples = self._agent.profile_codecs(wire_codec.from_wire(request))
            return agent_pb2.CodecProfile(samples=[wire_codec.to_wire(sample) for sample in samples])


class DataPlaneServicer:
    """The data plane over gRPC: raw bytes in and out, one thread for each stream."""

    def __init__(self, agent: Agent, max_streams: int, tls: LiveTls | None) -> None:
        self._agent = agent
        self._tls = tls
        self._free_streams = threading.BoundedSemaphore(max_streams)

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server wants to be given. Messages are not deserialized: frames are read where they lie."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Push": grpc.stream_stream_rpc_method_handler(self.push, None, None),
                "Results": grpc.stream_stream_rpc_method_handler(self.results, None, None),
            },
        )

    def push(self, received: Iterator[bytes], context: Context) -> Iterator[bytes]:
        """Takes frames in; answers probes."""
        with errors_to_status(context, "Push"), self._one_stream():
            stream = PushReader(received, self._agent.stages)
            with self._admitted(context, "Push", stream.close):
                context.add_callback(stream.close)
                context.send_initial_metadata((ACCEPTED,))
                yield from stream.answers()

    def results(self, received: Iterator[bytes], context: Context) -> Iterator[bytes]:
        """Gives out what the last stage of a deployment makes, until the deployment or the subscriber ends."""
        with errors_to_status(context, "Results"), self._one_stream():
            outbox, link = take_subscription(next(received, b""), self._agent.stages, OutgoingLink)
            end = partial(outbox.unsubscribe, link)
            try:
                with self._admitted(context, "Results", end):
                    context.add_callback(end)
                    context.send_initial_metadata((ACCEPTED,))
                    yield from link
            finally:
                end()

    def _admitted(
        self, context: Context, call: str, end: Callable[[PeerRefusedError], object]
    ) -> AbstractContextManager[None]:
        """Within, a call goes on for as long as its certificate entitles it to; `end` then ends it with the reason."""
        if self._tls is None:
            return nullcontext()
        has_ended = threading.Event()
        context.add_callback(has_ended.set)

        def end_in_time(error: PeerRefusedError) -> None:
            end(error)
            if not has_ended.wait(_END_SECONDS):  # the other end takes nothing, and so no reason either
                context.cancel()

        return self._tls.admitted(peer_certificate(context), DATA, call, end_in_time)

    def _one_stream(self) -> "_OneStream":
        return _OneStream(self._free_streams)


class _OneStream:
    """Counts one stream while it lasts, so that streams leave threads to the control service."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free

    def __enter__(self) -> None:
        if not self._free.acquire(blocking=False):
            raise RequestRejectedError("The node serves as many streams as it can: close some, or use another node.")

    def __exit__(self, *_: object) -> None:
        self._free.release()
