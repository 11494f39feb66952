"""Plans of a sweep, as a `sweep.yaml` chooses them. Pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from coordinator.config.sweep import PlanChoice
from coordinator.errors import ConfigError
from coordinator.planning import search_front
from coordinator.serving.replanning import restricted
from coordinator.wishes import SearchWish
from partitioner.codec import NO_CODEC
from partitioner.cost import CostModel
from partitioner.errors import InfeasibleError
from partitioner.graph import Graph
from partitioner.plan import Stage

Stages = tuple[Stage, ...]
_TRIES = 50
"""Random plans drawn for each one wanted, until there are enough that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Stages under the name by which results call them."""

    label: str
    stages: Stages


def chosen_stages(
    choices: Sequence[PlanChoice], graph: Graph, cost_models: Sequence[CostModel], nodes: Sequence[str], *, seed: int
) -> tuple[Chosen, ...]:
    """The plans of a subset of nodes, without codecs, each once; the whole model on each node comes first.

    Not to split, and to send the input to the server, is to have the whole model on one node: always among them, so
    that it can win.

    Args:
        choices: As the file has them.
        graph: Of the model.
        cost_models: Under each condition, which the predicted fronts are of.
        nodes: In the order of the flow.
        seed: Of random plans.

    Raises:
        ConfigError: A split point is not one of the model's.
    """
    found = [_chain([name], [], graph.n_units) for name in nodes]
    for choice in choices:
        if choice.every == "front":
            found += _front(cost_models, nodes, seed)
        elif choice.random is not None:
            found += _random(graph, nodes, choice.random, seed)
        elif len(nodes) > 1:
            found += [_chain(nodes, cuts, graph.n_units) for cuts in _cuts(choice, graph) if len(cuts) < len(nodes)]
    return tuple(Chosen(label=label_of(stages, nodes), stages=stages) for stages in dict.fromkeys(found))


def label_of(stages: Stages, nodes: Sequence[str]) -> str:
    """`whole model on pi-1`, `split 12+30`, or `split 12 on pi-2, pi-1` where these are not the first nodes."""
    devices = [stage.device for stage in stages]
    if len(stages) == 1:
        return f"whole model on {devices[0]}"
    cuts = "+".join(str(stage.stop) for stage in stages[:-1])
    return f"split {cuts}" if devices == list(nodes[: len(devices)]) else f"split {cuts} on {', '.join(devices)}"


def coded(stages: Stages, codec: str) -> Stages:
    """The same stages, each boundary between them in a codec."""
    return (*(replace(stage, codec=codec) for stage in stages[:-1]), replace(stages[-1], codec=NO_CODEC))


def _chain(nodes: Sequence[str], cuts: Sequence[int], n_units: int) -> Stages:
    ends = [0, *cuts, n_units]
    return tuple(
        Stage(device=name, start=start, stop=stop) for name, start, stop in zip(nodes, ends, ends[1:], strict=False)
    )


def _cuts(choice: PlanChoice, graph: Graph) -> list[tuple[int, ...]]:
    points = [point.position for point in graph.split_points if point.is_block_level]
    if choice.every == "all":
        points = [point.position for point in graph.split_points]
    elif choice.spread is not None:
        points = _spread(points, choice.spread)
    elif choice.splits:
        wrong = sorted({cut for cuts in choice.splits for cut in cuts if cut >= graph.n_units})
        if wrong:
            most = graph.n_units - 1
            raise ConfigError("plans", [f"{graph.name} has split points 1 to {most}, got {', '.join(map(str, wrong))}"])
        return list(choice.splits)
    return [(point,) for point in points]


def _spread(points: Sequence[int], wanted: int) -> list[int]:
    """So many of the points, both ends among them, as evenly as they allow."""
    if wanted == 1 or len(points) < 2:
        return [points[len(points) // 2]] if points else []
    step = (len(points) - 1) / (wanted - 1)
    return [points[index] for index in sorted({round(number * step) for number in range(wanted)})]


def _front(cost_models: Sequence[CostModel], nodes: Sequence[str], seed: int) -> Iterator[Stages]:
    """Plans of the predicted front under any of the conditions."""
    for cost_model in cost_models:
        try:
            result = search_front([restricted(cost_model, frozenset(nodes))], SearchWish(seed=seed), None)
        except InfeasibleError:
            continue
        yield from (candidate.plan.stages for candidate in result.front)


def _random(graph: Graph, nodes: Sequence[str], wanted: int, seed: int) -> list[Stages]:
    """So many plans that split, or all that were found."""
    most = min(len(nodes), graph.n_units)
    if most < 2:
        return []
    draw = random.Random(f"{seed} {graph.model_sha256} {' '.join(nodes)}")  # noqa: S311 - not a secret
    found: dict[Stages, None] = {}
    for _ in range(_TRIES * wanted):
        n_stages = draw.randint(2, most)
        cuts = sorted(draw.sample(range(1, graph.n_units), n_stages - 1))
        found.setdefault(_chain(draw.sample(list(nodes), n_stages), cuts, graph.n_units))
        if len(found) == wanted:
            break
    return list(found)
