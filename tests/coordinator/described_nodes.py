"""Nodes by what they say of themselves, without agents."""

from dataclasses import dataclass

from node_agent.messages import NodeDescription


@dataclass(frozen=True, kw_only=True)
class Node:
    """As much of a `FleetNode` as counts here."""

    name: str
    description: NodeDescription
    is_paced: bool


def node(name, *, cores=(0, 1), threads=1, limit=0.0, host="h", slowdown=0.0, providers=("CPUExecutionProvider",)):
    description = NodeDescription(
        name=name,
        protocol=1,
        version="0",
        machine="x86_64",
        cpu="cpu",
        n_cores=len(cores),
        memory_bytes=1,
        resident_bytes=1,
        python="3",
        runtime="onnxruntime",
        providers=providers,
        n_threads=threads,
        slowdown=slowdown,
        host_id=host,
        cpu_limit=limit,
        cores=tuple(cores),
    )
    return Node(name=name, description=description, is_paced=slowdown > 0)
