"""Stages that are deployed to be tried, each between the client and the client."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from coordinator.connecting import no_emulation, open_pipeline
from coordinator.fleet import FleetNode
from coordinator.lease import LEASE_SECONDS, free_stages, renewed_lease
from coordinator.pipeline import Answer, Pipeline
from coordinator.provisioning import shard_ref
from coordinator.stage_orders import wire_specs
from node_agent.dataplane.probing import Prober
from node_agent.messages import StageLoad
from partitioner.cost import QUEUE_LIMIT
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

WINDOW = QUEUE_LIMIT - 1
"""Requests in flight under load."""


@dataclass(slots=True)
class TrialSamples:
    """Seconds of all visits of a stage."""

    compute: list[float] = field(default_factory=list)
    handover: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guest:
    """A stage that is tried, and where its times go."""

    node: FleetNode
    shard: Shard
    samples: TrialSamples
    pipeline: Pipeline
    prober: Prober
    """A stream over which messages go there and back without the stage."""
    inputs: Mapping[str, np.ndarray]

    def hop_seconds(self) -> float:
        """From the client and back to it, without the stage."""
        return self.prober.round_trip(_n_bytes(self.shard.receives), _n_bytes(self.shard.sends))

    def answer(self) -> Answer:
        """Of a lone request."""
        return self.pipeline.infer(self.inputs)

    def take(self, answer: Answer, hop_seconds: float) -> None:
        """Keeps the times of a lone request."""
        compute = answer.trace[0].compute_seconds
        self.samples.compute.append(compute * (self.node.description.slowdown or 1.0))
        self.samples.handover.append(answer.latency_seconds - compute - hop_seconds)


@contextmanager
def deployed(node: FleetNode, shard: Shard, samples: TrialSamples) -> Iterator[Pipeline]:
    """A stage between the client and the client, for as long as the context lasts.

    Raises:
        NodeError: The node failed, or refused the stage.
    """
    name = f"trial-{secrets.token_hex(4)}"
    load = StageLoad(
        deployment=name,
        epoch=1,
        stage=0,
        n_stages=1,
        shard=shard_ref(shard),
        receives=wire_specs(shard.receives),
        sends=wire_specs(shard.sends),
        queue_limit=QUEUE_LIMIT,
        lease_seconds=LEASE_SECONDS,
    )
    try:
        samples.memory_bytes = max(samples.memory_bytes, node.client.load_stage(load).memory_bytes)
        names = tuple(spec.name for spec in shard.receives)
        with (
            renewed_lease([node], name),
            open_pipeline(
                [node], [node], deployment=name, epoch=1, link_to=no_emulation, input_names=names, window=WINDOW
            ) as pipeline,
        ):
            yield pipeline
    finally:
        free_stages(node, name)


def opened_prober(node: FleetNode) -> Prober:
    """A prober of the plane that the stages of a node receive by.

    Raises:
        NodeError: The node could not be reached.
    """
    plane = node.input_plane
    return Prober(node.data_address(plane), plane, tls=node.tls)


def _n_bytes(specs: Sequence[TensorSpec]) -> int:
    return sum(spec.n_bytes for spec in specs)
