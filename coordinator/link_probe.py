"""Asks for probes of a link: by the end that dials it, over the data plane and the emulation that it has."""

from collections.abc import Sequence
from functools import partial

from coordinator.fleet import Fleet
from coordinator.probing import Probe
from node_agent.dataplane.probing import probe
from node_agent.messages import ProbeRequest, ProbeSample
from partitioner.cluster import CLIENT


def link_probe(fleet: Fleet, source: str, target: str) -> Probe:
    """Probes the link from `source` to `target`, node names or `client`.

    A link to the client is asked for by it, since nobody can dial it. The probe raises `NodeError` where a node cannot
    be reached.
    """
    is_download = target == CLIENT
    asking, answering = (target, source) if is_download else (source, target)
    plane = fleet.config.plane_of(source, target)
    node = fleet.node_of[answering]
    ask = partial(probe, tls=node.tls) if asking == CLIENT else fleet.node_of[asking].client.probe_link

    def run(sizes_bytes: Sequence[int], n_rounds: int, n_messages: int) -> Sequence[ProbeSample]:
        return ask(
            ProbeRequest(
                target_address=node.data_address(plane),
                plane=plane,
                link=fleet.config.link_emulation(asking, answering),
                link_back=fleet.config.link_emulation(answering, asking),
                is_download=is_download,
                sizes_bytes=tuple(sizes_bytes),
                n_rounds=n_rounds,
                n_messages=n_messages,
            )
        )

    return run
