"""Nodes of the benchmark of predictions, under each network condition."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from pathlib import Path

from benchmarks._prediction_plans import PlansFor, lines, series
from coordinator.config import ClusterConfig, load_cluster, parse_cluster
from coordinator.fleet import Fleet
from coordinator.planning import probe_links
from partitioner.cluster import CLIENT, Cluster

PAIR = (
    {"name": "full", "local": True, "threads": 1, "cores": [0]},
    {"name": "plain", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
)
"""A core each; the runtime optimises less on one of them."""
LINE = (
    {"name": "large", "local": True, "threads": 1, "cores": [0]},
    {"name": "middle", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
    {"name": "small", "local": True, "threads": 1, "cores": [0]},
    {"name": "low", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
)
"""Two share each core, and are of the kinds of the pair, so that the profiles of those serve them.

Quotas would keep them apart, but a stage of some milliseconds under a quota takes what the tick of the kernel's clock
leaves to it: measured against itself it was 15 % apart.
"""
CONDITIONS = {
    "lan": {"delay": "1ms", "rate": "1Gbit"},
    "wifi": {"delay": "3ms", "rate": "100Mbit"},
    "poor": {"delay": "10ms", "rate": "60Mbit"},
}

Say = Callable[[str], None]
Connect = Callable[[ClusterConfig], Fleet]
Nodes = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A fleet under a condition of its links, and what they were probed to be."""

    name: str
    fleet: Fleet
    cluster: Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Nodes that run plans together, under each condition."""

    plans_for: PlansFor
    networks: tuple[Network, ...]

    @property
    def fleet(self) -> Fleet:
        """The nodes, whatever the condition."""
        return self.networks[0].fleet


def given_team(connect: Connect, cluster_file: Path) -> list[Team]:
    """The nodes of a file, with their links as they are.

    A paced stage takes its profiled time by construction, which would prove nothing: such nodes are refused.
    """
    fleet = connect(load_cluster(cluster_file))
    paced = [node.name for node in fleet.nodes if node.is_paced]
    if paced:
        raise SystemExit(f"Nodes {', '.join(paced)} are paced (emulate: slowdown): give a cluster of unpaced nodes.")
    network = Network(name="as it is", fleet=fleet, cluster=probe_links(fleet, lambda *_: None))
    return [Team(plans_for=lambda model, names: series(model, names) | lines(model, names), networks=(network,))]


def local_teams(connect: Connect, n_conditions: int, say: Say) -> list[Team]:
    """A pair with cores of their own for the series of splits, and a line on shared cores for longer plans."""
    conditions = list(CONDITIONS)[:n_conditions]
    return [
        Team(plans_for=plans_for, networks=tuple(shaped_networks(connect, name, nodes, conditions, say)))
        for name, nodes, plans_for in (("pair", PAIR, series), ("line", LINE, lines))
    ]


def shaped_networks(
    connect: Connect, name: str, nodes: Nodes, conditions: Sequence[str], say: Say
) -> Iterator[Network]:
    """The same fleet under each condition, its links probed anew; only those links are there that a plan may use."""
    names = [str(node["name"]) for node in nodes]
    used = {*pairwise(names), *((name, CLIENT) for name in names), *((CLIENT, name) for name in names[:2])}
    forbidden = [
        {"from": source, "to": target, "both": False, "forbidden": True}
        for source, target in permutations([CLIENT, *names], 2)
        if (source, target) not in used
    ]
    fleet = None
    for condition in conditions:
        links = {"default": CONDITIONS[condition], "between": forbidden}
        config = parse_cluster({"name": name, "nodes": list(nodes), "links": links})
        fleet = connect(config) if fleet is None else replace(fleet, config=config)
        began = time.perf_counter()
        cluster = probe_links(fleet, lambda *_: None)
        say(f"{name}, {condition}: probed {len(cluster.links)} links in {time.perf_counter() - began:.0f} s")
        yield Network(name=condition, fleet=fleet, cluster=cluster)
