"""Which devices are alike: a digest of all that can change times."""

import dataclasses
import hashlib
import json

from node_agent.messages import NodeDescription

WITHOUT_EFFECT = frozenset(
    {"name", "protocol", "resident_bytes", "host_id", "codecs", "memory_bytes", "tcp_port", "trials"}
)
"""Fields of a description that change no time. All others count, those of later versions included."""


def device_facts(description: NodeDescription) -> str:
    """What can change times on a node, as JSON with sorted keys."""
    facts = {name: value for name, value in dataclasses.asdict(description).items() if name not in WITHOUT_EFFECT}
    return json.dumps(facts, sort_keys=True)


def device_fingerprint(description: NodeDescription) -> str:
    """Digest of `device_facts`: equal for nodes whose times can stand for each other."""
    return hashlib.sha256(device_facts(description).encode()).hexdigest()
