"""Shared media and processors for the random problems and cost models of the tests."""

from dataclasses import replace

import numpy as np
from search_builders import wider_problem

from partitioner.cluster import CLIENT, Cluster
from partitioner.cost import CostModel
from partitioner.media import SharedMedium
from partitioner.processors import SharedProcessor
from partitioner.search.problem import SearchProblem


def shared(random: np.random.Generator, problem: SearchProblem) -> SearchProblem:
    """The problem with one to three media over links that are slow enough for their sums to count."""
    n_ends = problem.n_devices + 1
    media = []
    for _ in range(random.integers(1, 4)):
        is_on = random.random(n_ends) < 0.6
        at_ends = is_on[:, None] | is_on[None, :]
        media.append(at_ends if random.random() < 0.7 else random.random((n_ends, n_ends)) < 0.6)
    return replace(wider_problem(problem, float(random.uniform(0.05, 1))), link_media=np.stack(media))


def on_media(random: np.random.Generator, model: CostModel) -> CostModel:
    """The cost model on a cluster in which devices of one profile stay exchangeable: media of all who are alike."""
    cluster = model.cluster
    alike: dict[object, set[str]] = {CLIENT: {CLIENT}}
    for profile in model.profile.devices:
        alike.setdefault((profile.segments, profile.trials), set()).add(profile.device)
    media = []
    for index in range(random.integers(1, 3)):
        on = set().union(*(names for names in alike.values() if random.random() < 0.6))
        links = tuple((link.source, link.target) for link in cluster.links if {link.source, link.target} & on)
        media.append(SharedMedium(name=f"air-{index}", links=links))
    return replace(model, cluster=replace(slower(cluster, float(random.uniform(1, 10))), media=tuple(media)))


def slower(cluster: Cluster, factor: float) -> Cluster:
    """The cluster with slower links, also in what they sustain."""
    return replace(
        cluster,
        links=tuple(
            replace(
                link,
                bytes_per_second=link.bytes_per_second / factor,
                busy_bytes_per_second=link.busy_bytes_per_second / factor,
            )
            for link in cluster.links
        ),
    )


def on_cores(random: np.random.Generator, problem: SearchProblem) -> SearchProblem:
    """The problem with one or two processors that devices share, with weights that make sums count."""
    n_processors = int(random.integers(1, 3))
    place = random.integers(0, n_processors + 1, problem.n_devices)  # the last is a machine of one's own
    weights = random.choice([1.0, 0.5, float(random.uniform(0.3, 1))], problem.n_devices)
    rows = np.where(place == np.arange(n_processors)[:, None], weights, 0.0)
    nested = rows[:1] * (random.random(problem.n_devices) < 0.7) * float(random.uniform(0.3, 1))
    return replace(problem, processor_weights=np.concatenate([rows, nested]) if random.random() < 0.3 else rows)


def on_processors(random: np.random.Generator, model: CostModel) -> CostModel:
    """The cost model on a cluster whose devices share processors; alike ones weigh the same, mostly on one machine."""
    alike: dict[object, tuple[float, int]] = {}
    shares: tuple[list[tuple[str, float]], ...] = [], []
    for profile in model.profile.devices:
        drawn = float(random.choice([1.0, 0.5, random.uniform(0.3, 1)])), int(random.integers(2))
        weight, place = alike.setdefault((profile.segments, profile.trials), drawn)
        if random.random() < 0.9:
            shares[place if random.random() < 0.9 else 1 - place].append((profile.device, weight))
    processors = (SharedProcessor(name=f"host-{index}", shares=tuple(on)) for index, on in enumerate(shares) if on)
    return replace(model, cluster=replace(model.cluster, processors=tuple(processors)))
