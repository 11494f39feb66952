import dataclasses
import typing

import grpc
import pytest

from node_agent import errors, messages, wire_codec, wire_errors
from node_agent.api import PROTOCOL_MAX, PROTOCOL_MIN
from node_agent.errors import NodeError, ProtocolMismatchError, RequestRejectedError
from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    CodecSample,
    LinkEmulation,
    NodeDescription,
    NodeStatus,
    ProbeRequest,
    ProfileProgress,
    ProfileRequest,
    ProfileSegment,
    SegmentSamples,
    ShardRef,
    StageLoad,
    TensorSpec,
)
from node_agent.service import negotiate
from node_agent.wire import agent_pb2

BLOB = BlobRef(sha256="ab" * 32, n_bytes=2**40)
SHARD = ShardRef(graph=BLOB, blobs=(BLOB, BLOB))
LINK = LinkEmulation(delay_seconds=0.1, seed=2**63)
LOAD = StageLoad(
    deployment="d",
    epoch=2**40,
    stage=1,
    n_stages=3,
    shard=SHARD,
    receives=(TensorSpec(name="x", dtype="float32", shape=(1, 0, -1)), TensorSpec(name="s", dtype="bool", shape=())),
    sends=(),
    next_address="[::1]:5",
    link=LINK,
    pace_seconds=0.5,
    queue_limit=9,
    lease_seconds=2.5,
)

DESCRIPTION = NodeDescription(
    name="n",
    protocol=1,
    version="0.1.0",
    machine="aarch64",
    cpu="Cortex",
    n_cores=2,
    memory_bytes=2**40,
    resident_bytes=1,
    python="3.11.2",
    runtime="onnxruntime 1.32.0",
    providers=("A", "B"),
    n_threads=2,
    slowdown=0.0,
    host_id="h",
    codecs=(),
    optimisation="basic",
    governor="schedutil",
    temperature_class="warm",
    cpu_limit=0.4,
    energy_meter="rapl",
    cores=(0, 3),
)


@pytest.mark.parametrize(
    "value",
    [
        BLOB,
        dataclasses.replace(BLOB, n_have=2**39),
        SHARD,
        LINK,
        LOAD,
        dataclasses.replace(LOAD, link=None),
        dataclasses.replace(
            LOAD,
            codec="int8",
            next_hops=(messages.NextHop(address="a:1", link=LINK), messages.NextHop(address="b:1")),
            coding_pace=messages.CodingPace(decode_seconds=0.25, encode_seconds=0.5),
        ),
        NodeStatus(
            uptime_seconds=1.5,
            resident_bytes=1,
            store_bytes=2,
            store_quota_bytes=3,
            n_stages=4,
            warnings=("hot",),
            temperature_celsius=61.5,
            joules=2.5e6,
            instance="0f",
        ),
        DESCRIPTION,
        ProfileRequest(
            segments=(ProfileSegment(name="s", shard=SHARD),),
            n_rounds=3,
            budget_seconds=1.5,
            seed=2**63,
            tolerance=0.02,
        ),
        ProbeRequest(target_address="a:1", link=None, link_back=LINK, sizes_bytes=(0, 2**33), n_rounds=2),
        CodecProfileRequest(codecs=("a", "b"), dtype="float64", sizes_bytes=(1, 2**33), n_rounds=2, seed=2**63),
        CodecSample(codec="a", n_bytes=2**33, wire_bytes=3, encode_seconds=0.5, decode_seconds=0.25),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_survive_the_wire(value):
    message = wire_codec.to_wire(value)
    assert wire_codec.from_wire(type(message).FromString(message.SerializeToString())) == value


@pytest.mark.parametrize("value", wire_codec.MESSAGE_OF, ids=lambda value: value.__name__)
def test_value_and_message_have_the_same_fields(value):
    ours = [field.name for field in dataclasses.fields(value)]
    theirs = [field.name for field in wire_codec.MESSAGE_OF[value].DESCRIPTOR.fields]
    assert sorted(ours) == sorted(theirs)


def test_the_numbers_of_what_codecs_and_replicas_need_stay():
    numbers = {field.name: field.number for field in wire_codec.MESSAGE_OF[StageLoad].DESCRIPTOR.fields}
    assert numbers.items() >= {"codec": 15, "next_hops": 16, "coding_pace": 19}.items()
    header = agent_pb2.FrameHeader.DESCRIPTOR.fields_by_name["tensors"]
    numbers = {field.name: field.number for field in header.message_type.fields}
    assert numbers == {"name": 1, "dtype": 2, "shape": 3, "codec": 4, "n_bytes": 5}


def test_the_numbers_of_a_nodes_facts_stay():
    numbers = {field.name: field.number for field in wire_codec.to_wire(DESCRIPTION).DESCRIPTOR.fields}
    wanted = {"optimisation": 16, "governor": 17, "temperature_class": 18, "cpu_limit": 19, "energy_meter": 20}
    assert numbers.items() >= (wanted | {"cores": 21}).items()
    numbers = {field.name: field.number for field in wire_codec.MESSAGE_OF[NodeStatus].DESCRIPTOR.fields}
    assert (numbers["temperature_celsius"], numbers["joules"], numbers["instance"]) == (7, 9, 10)


def test_what_the_contract_does_not_allow_is_rejected_by_name():
    for load, name in (
        (dataclasses.replace(LOAD, epoch=-1), "StageLoad.epoch"),
        (dataclasses.replace(LOAD, deployment=7), "StageLoad.deployment"),
        (dataclasses.replace(LOAD, link=LinkEmulation(seed=2**64)), "LinkEmulation.seed"),
        (dataclasses.replace(LOAD, receives=(TensorSpec(name="x", dtype="int8", shape=(2**63,)),)), "TensorSpec.shape"),
    ):
        with pytest.raises(RequestRejectedError, match=f"{name} cannot be sent"):
            wire_codec.to_wire(load)


def test_every_control_message_is_in_the_table():
    values = {kind for kind in vars(messages).values() if dataclasses.is_dataclass(kind)}
    frames = {*typing.get_args(messages.Frame), messages.CodedTensor}
    assert values - frames == set(wire_codec.MESSAGE_OF)


@pytest.mark.parametrize(
    "event",
    [
        ProfileProgress(n_done=1, n_total=2, what="w"),
        SegmentSamples(name="s", seconds=(0.1, 0.2), session_seconds=0.3, memory_bytes=4),
    ],
    ids=lambda event: type(event).__name__,
)
def test_profile_events_survive_the_wire(event):
    assert wire_codec.event_from_wire(wire_codec.event_to_wire(event)) == event


def all_errors(kind: type[NodeError] = NodeError) -> set[type[NodeError]]:
    return {kind}.union(*(all_errors(child) for child in kind.__subclasses__()))


def test_every_error_has_a_status():
    assert {kind for kind in all_errors() if kind.__module__ == errors.__name__} == set(wire_errors.STATUS_OF)


class EndedError(Exception):
    """What a context raises to end its call."""


class FakeContext:
    """Both ends of a finished call: the servicer's context, and what its client catches."""

    def __init__(self):
        self.status = None
        self.metadata = ()

    def peer(self):
        return "test"

    def set_trailing_metadata(self, metadata):
        self.metadata = metadata

    def abort(self, code, details):
        self.status = (code, details)
        raise EndedError

    def code(self):
        return self.status[0]

    def details(self):
        return self.status[1]

    def trailing_metadata(self):
        return self.metadata


def end_with(error: Exception) -> FakeContext:
    context = FakeContext()
    with pytest.raises(EndedError), wire_errors.errors_to_status(context, "Call"):
        raise error
    return context


@pytest.mark.parametrize("kind", sorted(wire_errors.STATUS_OF, key=str), ids=lambda kind: kind.__name__)
def test_errors_survive_the_wire(kind):
    error = wire_errors.error_from_rpc(end_with(kind("why 'pi-1' ü")), "a:1", "Call")
    assert type(error) is kind
    assert str(error) == "why 'pi-1' ü"


def test_an_unexpected_exception_is_logged_and_told_without_its_text(caplog):
    context = end_with(ZeroDivisionError("secret"))
    assert context.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in context.details()
    assert "see the node's log" in context.details()
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.NodeUnreachableError, "Cannot reach the node at a:1"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.NodeUnreachableError, "a:1 did not answer Call"),
        (grpc.StatusCode.CANCELLED, errors.NodeUnreachableError, "cancelled"),
        (grpc.StatusCode.UNIMPLEMENTED, errors.ProtocolMismatchError, "is no node"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.RequestRejectedError, "--max-message"),
        (grpc.StatusCode.UNKNOWN, NodeError, "UNKNOWN"),
    ],
)
def test_a_status_of_grpc_itself_names_the_address(code, kind, words):
    context = FakeContext()
    context.status = (code, "details")
    error = wire_errors.error_from_rpc(context, "a:1", "Call")
    assert type(error) is kind
    assert words in str(error)
    assert "a:1" in str(error)


def test_a_name_of_a_newer_node_becomes_the_base_error():
    assert type(wire_errors.error_named("NewerError", "why")) is NodeError


def test_the_newest_common_protocol_is_agreed_on():
    assert negotiate(PROTOCOL_MIN, PROTOCOL_MAX + 5) == PROTOCOL_MAX


@pytest.mark.parametrize("wanted", [(PROTOCOL_MAX + 1, PROTOCOL_MAX + 2), (0, PROTOCOL_MIN - 1)])
def test_ranges_that_do_not_meet_are_both_named(wanted):
    with pytest.raises(ProtocolMismatchError, match=rf"{wanted[0]} to {wanted[1]}.*{PROTOCOL_MIN} to {PROTOCOL_MAX}"):
        negotiate(*wanted)
