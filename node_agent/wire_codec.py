"""Control messages as protobuf and back. A dataclass and its message have the same fields, by name.

The frames of the data plane are not here: `dataplane.frame` writes them by hand.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

from node_agent import messages
from node_agent.errors import RequestRejectedError
from node_agent.wire import agent_pb2

MESSAGE_OF: dict[type, type[Message]] = {
    messages.NodeDescription: agent_pb2.NodeDescription,
    messages.NodeStatus: agent_pb2.NodeStatus,
    messages.BlobRef: agent_pb2.BlobRef,
    messages.TensorSpec: agent_pb2.TensorSpec,
    messages.ShardRef: agent_pb2.ShardRef,
    messages.LinkEmulation: agent_pb2.LinkEmulation,
    messages.LinkStep: agent_pb2.LinkStep,
    messages.NextHop: agent_pb2.NextHop,
    messages.CodingPace: agent_pb2.CodingPace,
    messages.StageLoad: agent_pb2.StageLoad,
    messages.StageLoaded: agent_pb2.StageLoaded,
    messages.StageStatus: agent_pb2.StageStatus,
    messages.ProfileSegment: agent_pb2.ProfileSegment,
    messages.ProfileRequest: agent_pb2.ProfileRequest,
    messages.ProfileProgress: agent_pb2.ProfileProgress,
    messages.SegmentSamples: agent_pb2.SegmentSamples,
    messages.ProbeRequest: agent_pb2.ProbeRequest,
    messages.ProbeSample: agent_pb2.ProbeSample,
    messages.CodecProfileRequest: agent_pb2.CodecProfileRequest,
    messages.CodecSample: agent_pb2.CodecSample,
    messages.StageTrace: agent_pb2.StageTrace,
}
"""Type on the wire of each value; a test compares their fields."""

_VALUE_OF = {message: value for value, message in MESSAGE_OF.items()}


def to_wire(value: Any) -> Any:
    """Protobuf message that says what the dataclass `value` says.

    Raises:
        RequestRejectedError: A field has a type or a size that the contract does not allow.
    """
    message = MESSAGE_OF[type(value)]()
    for field in dataclasses.fields(value):
        try:
            _set_field(message, field.name, getattr(value, field.name))
        except (TypeError, ValueError) as exc:
            if isinstance(exc, RequestRejectedError):
                raise
            raise RequestRejectedError(f"{type(value).__name__}.{field.name} cannot be sent: {exc}") from exc
    return message


def _set_field(message: Any, name: str, content: Any) -> None:
    if isinstance(content, tuple):
        getattr(message, name).extend(_element_to_wire(element) for element in content)
    elif type(content) in MESSAGE_OF:
        getattr(message, name).CopyFrom(to_wire(content))
    elif content is not None:
        setattr(message, name, content)


def _element_to_wire(element: Any) -> Any:
    return to_wire(element) if type(element) in MESSAGE_OF else element


def from_wire(message: Any) -> Any:
    """The dataclass that says what `message` says; an absent sub-message becomes None."""
    value = _VALUE_OF[type(message)]
    return value(**{name: _field_from_wire(message, name) for name in _field_names(value)})


def _field_names(value: type) -> Iterable[str]:
    return (field.name for field in dataclasses.fields(value))


def _field_from_wire(message: Any, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    content = getattr(message, name)
    is_message = field.message_type is not None
    if field.is_repeated:
        return tuple(map(from_wire, content)) if is_message else tuple(content)
    if not is_message:
        return content
    return from_wire(content) if message.HasField(name) else None


def event_to_wire(event: messages.ProfileEvent) -> agent_pb2.ProfileEvent:
    """One event of a profile's stream."""
    if isinstance(event, messages.ProfileProgress):
        return agent_pb2.ProfileEvent(progress=to_wire(event))
    return agent_pb2.ProfileEvent(samples=to_wire(event))


def event_from_wire(message: agent_pb2.ProfileEvent) -> messages.ProfileEvent:
    """One event of a profile's stream."""
    is_progress = message.WhichOneof("event") == "progress"
    event: messages.ProfileEvent = from_wire(message.progress if is_progress else message.samples)
    return event


def blobs_to_wire(blobs: Iterable[messages.BlobRef]) -> agent_pb2.BlobList:
    """A list of references."""
    return agent_pb2.BlobList(blobs=[to_wire(blob) for blob in blobs])


def blobs_from_wire(message: agent_pb2.BlobList) -> tuple[messages.BlobRef, ...]:
    """A list of references."""
    return tuple(map(from_wire, message.blobs))
