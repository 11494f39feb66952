"""What is said between a coordinator and a node, as values. `wire_codec` turns them into protobuf and back."""

from node_agent.messages.content import BlobRef, ShardRef, TensorSpec
from node_agent.messages.frames import (
    CodedTensor,
    ErrorFrame,
    Frame,
    ProbeFrame,
    StageTrace,
    SubscribeFrame,
    TensorFrame,
)
from node_agent.messages.node import NodeDescription, NodeStatus
from node_agent.messages.stages import CodingPace, LinkEmulation, LinkStep, NextHop, StageLoad, StageLoaded, StageStatus
from node_agent.messages.timing import (
    CodecProfileRequest,
    CodecSample,
    ProbeRequest,
    ProbeSample,
    ProfileEvent,
    ProfileProgress,
    ProfileRequest,
    ProfileSegment,
    SegmentSamples,
)

__all__ = [
    "BlobRef",
    "CodecProfileRequest",
    "CodecSample",
    "CodedTensor",
    "CodingPace",
    "ErrorFrame",
    "Frame",
    "LinkEmulation",
    "LinkStep",
    "NextHop",
    "NodeDescription",
    "NodeStatus",
    "ProbeFrame",
    "ProbeRequest",
    "ProbeSample",
    "ProfileEvent",
    "ProfileProgress",
    "ProfileRequest",
    "ProfileSegment",
    "SegmentSamples",
    "ShardRef",
    "StageLoad",
    "StageLoaded",
    "StageStatus",
    "StageTrace",
    "SubscribeFrame",
    "TensorFrame",
    "TensorSpec",
]
