"""What must hold between the parts of a `sweep.yaml`. Pure, and content with data that is wrong elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from coordinator.config.cluster import ClusterConfig
from coordinator.config.conditions import between_faults
from coordinator.config.faults import Fault, KeyPath, nearest, path_text
from coordinator.config.relations import relation_faults
from coordinator.config.sweep import last_part
from partitioner.cluster import CLIENT

_LISTS = ("batches", "codecs", "data_planes", "scenarios")
_CHOICES = ("every", "spread", "random", "splits")
_ORIGINS = ("file", "local", "cluster")


def sweep_faults(content: object, clusters: Mapping[int, ClusterConfig]) -> Iterator[Fault]:
    """All faults of a parsed `sweep.yaml` that no single value shows.

    Args:
        content: Of the file.
        clusters: Those of its clusters that could be read, by their number in it.
    """
    top = content if isinstance(content, Mapping) else {}
    yield from _repeated_values(top)
    yield from _model_faults(top.get("models"))
    yield from _cluster_faults(top.get("clusters"), clusters)
    yield from _condition_faults(top.get("conditions"), clusters)
    yield from _plan_faults(top.get("plans"), top.get("clusters"), clusters)
    yield from _repeat_faults(top.get("repeats"))


def _entries(value: object) -> Iterator[tuple[int, object]]:
    yield from enumerate(value if isinstance(value, list) else [])


def _repeated(values: Iterator[tuple[KeyPath, object]], remedy: str = "keep one") -> Iterator[Fault]:
    first: dict[str, KeyPath] = {}
    for path, value in values:
        if not isinstance(value, str | int | list):
            continue
        key = str(value)
        if key in first:
            yield Fault(path=path, message=f"'{key}' is already that of {path_text(first[key])}: {remedy}")
        first.setdefault(key, path)


def _repeated_values(top: Mapping[str, object]) -> Iterator[Fault]:
    for key in _LISTS:
        yield from _repeated(((key, index), value) for index, value in _entries(top.get(key)))


def _model_faults(models: object) -> Iterator[Fault]:
    def names() -> Iterator[tuple[KeyPath, object]]:
        for index, raw in _entries(models):
            name, source = (raw.get("name"), raw.get("source")) if isinstance(raw, Mapping) else (None, raw)
            yield ("models", index), name or (last_part(source) if isinstance(source, str) else source)

    yield from _repeated(names(), "give it a name of its own")


def _cluster_faults(raw_clusters: object, clusters: Mapping[int, ClusterConfig]) -> Iterator[Fault]:
    yield from _repeated((("clusters", index), config.name) for index, config in clusters.items())
    for index, raw in _entries(raw_clusters):
        path: KeyPath = ("clusters", index)
        if not isinstance(raw, Mapping):
            continue
        given = [key for key in _ORIGINS if key in raw]
        if len(given) != 1:
            came = f"got {' and '.join(given)}" if given else "got none"
            yield Fault(path=path, message=f"wanted one of {', '.join(_ORIGINS)}, {came}")
        if "cluster" in raw:
            for fault in relation_faults(raw["cluster"]):
                yield Fault(path=(*path, "cluster", *fault.path), message=fault.message)
        subsets = raw.get("subsets")
        yield from _repeated(((*path, "subsets", number), subset) for number, subset in _entries(subsets))
        for number, subset in _entries(subsets):
            here = (*path, "subsets", number)
            if subset == []:
                yield Fault(path=here, message="is an empty list: wanted at least one node")
            yield from _repeated(((*here, place), name) for place, name in _entries(subset))
            for place, name in _entries(subset):
                config = clusters.get(index)
                if config is not None and isinstance(name, str) and name not in config.node_of:
                    known = nearest(name, config.node_of)
                    yield Fault(path=(*here, place), message=f"'{config.name}' has no node '{name}': {known}")


def _condition_faults(conditions: object, clusters: Mapping[int, ClusterConfig]) -> Iterator[Fault]:
    yield from _repeated(
        (("conditions", index), raw.get("name") if isinstance(raw, Mapping) else raw)
        for index, raw in _entries(conditions)
    )
    for index, raw in _entries(conditions):
        path: KeyPath = ("conditions", index)
        if not isinstance(raw, Mapping):
            continue
        if not any(raw.get(key) for key in ("profile", "default", "between", "trace")):
            message = "changes nothing: wanted profile, default, between or trace, or the word as-is in its place"
            yield Fault(path=path, message=message)
        found = {
            fault
            for config in clusters.values()
            for fault in between_faults(raw.get("between"), (*path, "between"), directions_of(config))
        }
        yield from found


def directions_of(config: ClusterConfig) -> tuple[tuple[str, str], ...]:
    """(source, target) of each link that plans may use, the client's among them."""
    places = (CLIENT, *(node.name for node in config.nodes))
    return tuple(pair for pair in permutations(places, 2) if not config.is_forbidden(*pair))


def _plan_faults(plans: object, raw_clusters: object, clusters: Mapping[int, ClusterConfig]) -> Iterator[Fault]:
    largest = _largest_subset(raw_clusters, clusters)
    for index, raw in _entries(plans):
        path: KeyPath = ("plans", index)
        if not isinstance(raw, Mapping):
            continue
        given = [key for key in _CHOICES if key in raw]
        if len(given) != 1:
            came = f"got {' and '.join(given)}" if given else "got none"
            yield Fault(path=path, message=f"wanted one of {', '.join(_CHOICES)}, {came}")
        if raw.get("splits") == []:
            yield Fault(path=(*path, "splits"), message="is an empty list: wanted at least one split point")
        for number, points in _entries(raw.get("splits")):
            here = (*path, "splits", number)
            cuts: Sequence[object] = points if isinstance(points, list) else [points]
            numbers = [cut for cut in cuts if isinstance(cut, int)]
            if numbers != sorted(set(numbers)):
                yield Fault(path=here, message=f"{points} does not rise: wanted split points in the order of the flow")
            if largest and len(numbers) >= largest:
                message = f"makes {len(numbers) + 1} stages, but no cluster or subset has more than {largest} nodes"
                yield Fault(path=here, message=message)


def _largest_subset(raw_clusters: object, clusters: Mapping[int, ClusterConfig]) -> int:
    """Most nodes that a plan may have; 0 where no cluster could be read."""
    sizes = []
    for index, raw in _entries(raw_clusters):
        subsets = raw.get("subsets") if isinstance(raw, Mapping) else None
        sizes += [len(subset) for _, subset in _entries(subsets) if isinstance(subset, list)]
        if not subsets and index in clusters:
            sizes.append(len(clusters[index].nodes))
    return max(sizes, default=0)


def _repeat_faults(repeats: object) -> Iterator[Fault]:
    if not isinstance(repeats, Mapping):
        return
    least, most = repeats.get("least", 3), repeats.get("most", 10)
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield Fault(path=("repeats",), message=f"least, {least}, is more than most, {most}: swap them, or give both")
