"""Nodes of the benchmark of predictions, under each network condition."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from pathlib import Path

from coordinator.config import ClusterConfig, load_cluster, parse_cluster
from coordinator.fleet import Fleet
from coordinator.planning import probe_links
from partitioner.cluster import CLIENT, Cluster

NODES = (
    {"name": "full", "local": True, "threads": 1, "cores": [0]},
    {"name": "plain", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
    {"name": "full-2", "local": True, "threads": 1, "cores": [0]},
    {"name": "plain-2", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
)
"""The first two have a core each; the runtime optimises less on one of them. Longer plans share the cores.

Quotas would keep them apart, but a stage of some milliseconds under a quota takes what the tick of the kernel's clock
leaves to it: measured against itself it was 15 % apart.
"""
CONDITIONS = {
    "lan": {"delay": "1ms", "rate": "1Gbit"},
    "wifi": {"delay": "3ms", "rate": "300Mbit"},
    "poor": {"delay": "10ms", "rate": "150Mbit"},
}

Say = Callable[[str], None]
Connect = Callable[[ClusterConfig], Fleet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A fleet under a condition of its links, and what they were probed to be."""

    name: str
    fleet: Fleet
    cluster: Cluster


def given_network(connect: Connect, cluster_file: Path) -> Network:
    """The nodes of a file, with their links as they are.

    A paced stage takes its profiled time by construction, which would prove nothing: such nodes are refused.
    """
    fleet = connect(load_cluster(cluster_file))
    paced = [node.name for node in fleet.nodes if node.is_paced]
    if paced:
        raise SystemExit(f"Nodes {', '.join(paced)} are paced (emulate: slowdown): give a cluster of unpaced nodes.")
    return Network(name="as it is", fleet=fleet, cluster=probe_links(fleet, lambda *_: None))


def local_networks(connect: Connect, n_conditions: int, say: Say) -> Iterator[Network]:
    """The local fleet under each condition, its links probed anew; only those are there that a plan may use."""
    names = [str(node["name"]) for node in NODES]
    used = {*pairwise(names), *((name, CLIENT) for name in names), *((CLIENT, name) for name in names[:2])}
    forbidden = [
        {"from": source, "to": target, "both": False, "forbidden": True}
        for source, target in permutations([CLIENT, *names], 2)
        if (source, target) not in used
    ]
    fleet = None
    for condition in [*CONDITIONS][:n_conditions]:
        links = {"default": CONDITIONS[condition], "between": forbidden}
        config = parse_cluster({"name": "cores", "nodes": list(NODES), "links": links})
        fleet = connect(config) if fleet is None else replace(fleet, config=config)
        began = time.perf_counter()
        cluster = probe_links(fleet, lambda *_: None)
        say(f"{condition}: probed {len(cluster.links)} links in {time.perf_counter() - began:.0f} s")
        yield Network(name=condition, fleet=fleet, cluster=cluster)
