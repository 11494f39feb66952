"""Problems with every choice: codecs, replicas, further objectives and bounds."""

from dataclasses import replace

import numpy as np
from search_builders import chain_graph, cluster_of, device_profile, profile_of, random_trials

from partitioner.cluster import CLIENT, Cluster
from partitioner.codec import BoundaryCoding, CodecRate, CodecTable
from partitioner.cost import CostModel
from partitioner.graph import Graph

ALL = ("latency_seconds", "bottleneck_seconds", "memory_bytes", "energy_joules", "wire_bytes", "output_error")


def wide_cost_model(random: np.random.Generator, kinds: tuple[int, ...], n_units: int) -> CostModel:
    """Devices of some kinds, those of one kind identical; two codecs; power of every device; trials in half."""
    graph = chain_graph(
        random.integers(20, 200, n_units + 1).tolist(), weights=random.integers(0, 500, n_units).tolist()
    )
    names = [f"d{index}" for index in range(len(kinds))]
    spans = {kind: _spans(random, n_units) for kind in dict.fromkeys(kinds)}
    profiles = [
        device_profile(name, spans[kind], base_memory_bytes=10) for name, kind in zip(names, kinds, strict=True)
    ]
    cluster = _cluster(random, dict(zip(names, kinds, strict=True)))
    own = random.spawn(1)[0]
    if own.integers(2) == 0:
        trials = {kind: random_trials(own, spans[kind]) for kind in spans}
        profiles = [replace(profile, trials=trials[kind]) for profile, kind in zip(profiles, kinds, strict=True)]
        sustained = {
            link.bytes_per_second: float(link.bytes_per_second * own.uniform(0.5, 2)) for link in cluster.links
        }
        links = [replace(link, busy_bytes_per_second=sustained[link.bytes_per_second]) for link in cluster.links]
        cluster = replace(cluster, links=tuple(links))
    return CostModel(
        graph,
        cluster,
        profile_of(graph, *profiles),
        codecs=_codecs(random, graph, dict(zip(names, kinds, strict=True))),
    )


def _spans(random: np.random.Generator, n_units: int) -> dict[tuple[int, int], float]:
    units = random.uniform(0.5, 2, n_units) * random.uniform(0.3, 3)
    return {
        (start, stop): float(units[start:stop].sum() * random.uniform(0.8, 1.3))
        for start in range(n_units)
        for stop in range(start + 1, n_units + 1)
    }


def _cluster(random: np.random.Generator, kind_of: dict[str, int]) -> Cluster:
    of_kinds: dict[tuple[int | str, int | str], tuple[float, float]] = {}
    places = {**kind_of, CLIENT: CLIENT}
    links = {}
    for source, one in places.items():
        for target, other in places.items():
            drawn = float(random.uniform(0, 0.5)), float(random.uniform(20, 500))
            if source != target:
                links[source, target] = of_kinds.setdefault((one, other), drawn)
    cluster = cluster_of(dict.fromkeys(kind_of, 10**9), links)
    watts = {kind: float(random.uniform(2, 20)) for kind in dict.fromkeys(kind_of.values())}
    devices = tuple(replace(device, active_watts=watts[kind_of[device.name]]) for device in cluster.devices)
    return replace(cluster, devices=devices)


def _codecs(random: np.random.Generator, graph: Graph, kind_of: dict[str, int]) -> CodecTable:
    sizes = np.array([graph.boundary_bytes(position) for position in range(graph.n_units + 1)])
    codings = tuple(
        BoundaryCoding(
            codec=codec,
            wire_bytes=tuple(int(size) for size in np.ceil(sizes * random.uniform(*share, len(sizes)))),
            output_errors=tuple((random.uniform(0, error, len(sizes)) if error else 0.0 * sizes).tolist()),
        )
        for codec, share, error in (("int8", (0.25, 0.3), 0.05), ("zstd", (0.4, 1.1), 0.0))
    )
    drawn = {(kind, codec): random.uniform(50, 5000, 2) for kind in dict.fromkeys(kind_of.values()) for codec in "iz"}
    rates = tuple(
        CodecRate(
            device=name,
            codec=coding.codec,
            encode_fixed_seconds=0.01,
            encode_bytes_per_second=float(drawn[kind, coding.codec[0]][0]),
            decode_fixed_seconds=0.02,
            decode_bytes_per_second=float(drawn[kind, coding.codec[0]][1]),
        )
        for name, kind in kind_of.items()
        for coding in codings
    )
    return CodecTable(
        model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, codings=codings, rates=rates
    )
