import dataclasses

import pytest

from coordinator.profile_cache import device_fingerprint
from coordinator.profile_cache.fingerprint import WITHOUT_EFFECT
from node_agent.messages import NodeDescription

DESCRIPTION = NodeDescription(
    name="pi-1",
    protocol=1,
    version="0.1",
    machine="aarch64",
    cpu="Cortex-A72",
    n_cores=4,
    memory_bytes=2**32,
    resident_bytes=2**26,
    python="3.11.2",
    runtime="onnxruntime 1.32.0",
    providers=("CPUExecutionProvider",),
    n_threads=1,
    slowdown=0.0,
    host_id="abc",
)


def changed(value):
    match value:
        case str():
            return value + "x"
        case bool():
            return not value
        case tuple():
            return (*value, "x")
        case None:
            return "x"
        case _:
            return value + 1


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(NodeDescription)])
def test_every_field_counts_but_those_without_effect(field):
    """Fields that are added later count by themselves."""
    other = dataclasses.replace(DESCRIPTION, **{field: changed(getattr(DESCRIPTION, field))})
    is_same = device_fingerprint(other) == device_fingerprint(DESCRIPTION)
    assert is_same == (field in WITHOUT_EFFECT)


def test_what_is_left_out_are_fields():
    assert {field.name for field in dataclasses.fields(NodeDescription)} >= WITHOUT_EFFECT
