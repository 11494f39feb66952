"""From a `sweep.yaml` to a sweep with its clusters read."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from coordinator.config.bandwidth_trace import RecordedStep, load_trace, mean_delay, mean_rate
from coordinator.config.cluster import ClusterConfig, checked_cluster, load_cluster
from coordinator.config.conditions import network_condition
from coordinator.config.document import YamlDocument, read_yaml
from coordinator.config.example import local_cluster
from coordinator.config.faults import Fault, fault_texts, shape_faults
from coordinator.config.sweep import SweepConfig
from coordinator.config.sweep_relations import directions_of, sweep_faults
from coordinator.errors import ConfigError
from coordinator.sweep.network_profiles import profile_condition
from partitioner.search.robust.network import LinkCondition, NetworkCondition


@dataclass(frozen=True, kw_only=True)
class ClusterChoice:
    """A cluster of a sweep."""

    config: ClusterConfig
    subsets: tuple[tuple[str, ...], ...]
    """Nodes that plans may use, in the order of the flow, each subset by itself; at least one."""


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """A sweep as it is asked for."""

    config: SweepConfig
    clusters: tuple[ClusterChoice, ...]
    traces: Mapping[str, tuple[RecordedStep, ...]] = field(default_factory=dict)
    """By the name of the condition that replays it."""

    @cached_property
    def spec(self) -> dict[str, object]:
        """All of it as JSON, the clusters' files included."""
        spec = self.config.model_dump(mode="json", exclude={"clusters"})
        clusters = [
            {"cluster": choice.config.model_dump(mode="json"), "subsets": [list(subset) for subset in choice.subsets]}
            for choice in self.clusters
        ]
        traces = {name: [list(astuple(step)) for step in steps] for name, steps in self.traces.items()}
        return {**spec, "clusters": clusters, "traces": traces}

    def conditions(self, cluster: ClusterConfig) -> tuple[NetworkCondition, ...]:
        """What becomes of the links of a cluster, condition by condition; of one that changes, on average."""
        directions = directions_of(cluster)
        found = []
        for entry in self.config.conditions:
            own = network_condition(entry, directions)
            base = profile_condition(entry.profile).every_link if entry.profile else LinkCondition()
            of_all = self._traced(entry.name).over(own.every_link).over(base)
            found.append(NetworkCondition(name=own.name, every_link=of_all, links=own.links))
        return tuple(found)

    def _traced(self, condition: str) -> LinkCondition:
        steps = self.traces.get(condition)
        if not steps:
            return LinkCondition()
        return LinkCondition(delay_seconds=mean_delay(steps), bytes_per_second=mean_rate(steps))


def load_sweep(path: Path) -> SweepFile:
    """The sweep that a YAML file describes; paths in it are taken from its folder.

    Raises:
        ConfigError: With every fault of the file, and of the cluster files that it names.
    """
    return checked_sweep(
        read_yaml(path, example="`splitfront init --sweep` writes an example"), source=str(path), folder=path.parent
    )


def checked_sweep(document: YamlDocument, *, source: str, folder: Path = Path()) -> SweepFile:
    """The sweep that `document` describes; `source` names it in errors, `folder` is where its paths begin.

    Raises:
        ConfigError: With every fault.
    """
    clusters, faults = _read_clusters(document.content, folder)
    traces, wrong = _read_traces(document.content, folder)
    faults += [*wrong, *document.faults, *sweep_faults(document.content, clusters)]
    config = None
    try:
        config = SweepConfig.model_validate(document.content, context={"folder": folder})
    except ValidationError as exc:
        faults.extend(shape_faults(exc, SweepConfig))
    if faults or config is None:
        raise ConfigError(source, fault_texts(faults, document.lines))
    choices = tuple(
        ClusterChoice(
            config=clusters[index],
            subsets=swept.subsets or (tuple(node.name for node in clusters[index].nodes),),
        )
        for index, swept in enumerate(config.clusters)
    )
    models = tuple(
        model.model_copy(update={"source": str(found.resolve())})
        if (found := folder / model.source).is_file()
        else model
        for model in config.models
    )
    return SweepFile(config=config.model_copy(update={"models": models}), clusters=choices, traces=traces)


def _read_clusters(content: object, folder: Path) -> tuple[dict[int, ClusterConfig], list[Fault]]:
    """The clusters that can be read, by number, and what is wrong with the files of the others."""
    entries = content.get("clusters") if isinstance(content, Mapping) else None
    clusters: dict[int, ClusterConfig] = {}
    faults: list[Fault] = []
    for index, raw in enumerate(entries if isinstance(entries, list) else []):
        try:
            config = _read_cluster({"file": raw} if isinstance(raw, str) else raw, folder)
        except ConfigError as error:
            faults += _file_faults(error, ("clusters", index))
        else:
            if config is not None:
                clusters[index] = config
    return clusters, faults


def _read_cluster(raw: object, folder: Path) -> ClusterConfig | None:
    """None where the entry is wrong in ways that are told elsewhere."""
    if not isinstance(raw, Mapping):
        return None
    file, n_local, inline = (raw.get(key) for key in ("file", "local", "cluster"))
    if isinstance(file, str) and (folder / Path(file).expanduser()).is_file():
        return load_cluster(folder / Path(file).expanduser())
    if isinstance(n_local, int) and not isinstance(n_local, bool) and 1 <= n_local <= 64:
        return local_cluster(n_local)
    if isinstance(inline, Mapping):
        try:
            return checked_cluster(YamlDocument(content=inline, lines={}, faults=()), source="cluster", folder=folder)
        except ConfigError:
            return None
    return None


def _read_traces(content: object, folder: Path) -> tuple[dict[str, tuple[RecordedStep, ...]], list[Fault]]:
    """Steps of the traces that can be read, by condition, and what is wrong with the others' files."""
    entries = content.get("conditions") if isinstance(content, Mapping) else None
    traces: dict[str, tuple[RecordedStep, ...]] = {}
    faults: list[Fault] = []
    for index, raw in enumerate(entries if isinstance(entries, list) else []):
        file = raw.get("trace") if isinstance(raw, Mapping) else None
        if isinstance(file, str) and (path := folder / Path(file).expanduser()).is_file():
            try:
                traces[str(raw.get("name"))] = load_trace(path)
            except ConfigError as error:
                faults += _file_faults(error, ("conditions", index, "trace"))
    return traces, faults


def _file_faults(error: ConfigError, path: tuple[str | int, ...]) -> Iterator[Fault]:
    for fault in error.faults:
        yield Fault(path=path, message=f"its file: {fault}")


def sweep_json_schema() -> dict[str, object]:
    """JSON Schema of `sweep.yaml`, for editors that complete and check while one types."""
    schema = SweepConfig.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "splitfront sweep.yaml"}
