"""`cluster.yaml`: which machines there are and how they are linked, as one value."""

import zlib
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from coordinator.config.discovery import with_pods
from coordinator.config.document import YamlDocument, read_yaml
from coordinator.config.faults import fault_texts, shape_faults
from coordinator.config.quantities import duration_text, rate_text
from coordinator.config.relations import relation_faults
from coordinator.config.sections import (
    ClientConfig,
    DataPlane,
    LinkConfig,
    LinksConfig,
    MediumConfig,
    Name,
    NodeConfig,
    Section,
    SecurityConfig,
)
from coordinator.errors import ConfigError
from node_agent.messages import LinkEmulation
from partitioner.cluster import CLIENT
from partitioner.media import SharedMedium


class ClusterConfig(Section):
    """A cluster as described. Made by `load_cluster` or `parse_cluster`, which check what holds between its parts."""

    name: Name
    nodes: Annotated[tuple[NodeConfig, ...], Field(min_length=1)]
    data_plane: DataPlane = "grpc"
    """How tensors travel over all links that say nothing else."""
    links: LinksConfig = LinksConfig()
    media: tuple[MediumConfig, ...] = ()
    """Each is one more resource, busy for all that crosses it."""
    client: ClientConfig = ClientConfig()
    security: SecurityConfig = SecurityConfig()

    @cached_property
    def node_of(self) -> dict[str, NodeConfig]:
        """Node of each name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def _link_of(self) -> dict[tuple[str, str], LinkConfig]:
        return {direction: link for link in self.links.between for direction in link.directions}

    @property
    def shared_media(self) -> tuple[SharedMedium, ...]:
        """The media with their links."""
        places = (CLIENT, *(node.name for node in self.nodes))
        return tuple(SharedMedium(name=medium.name, links=medium.directions(places)) for medium in self.media)

    def plane_of(self, source: str, target: str) -> str:
        """Data plane of the link from `source` to `target` (node names or `client`)."""
        link = self._link_of.get((source, target))
        return (link.data_plane if link else None) or self.data_plane

    def planes_at(self, name: str) -> frozenset[str]:
        """Data planes that a node must listen for: those of the links to it, and of the one from it to the client."""
        sources = (CLIENT, *(node.name for node in self.nodes if node.name != name))
        into = {self.plane_of(source, name) for source in sources if not self.is_forbidden(source, name)}
        return frozenset({*into, self.plane_of(name, CLIENT)})

    def is_forbidden(self, source: str, target: str) -> bool:
        """Whether no plan may send from `source` to `target`."""
        link = self._link_of.get((source, target))
        return link is not None and link.forbidden

    def link_emulation(self, source: str, target: str) -> LinkEmulation | None:
        """How `source` emulates its link to `target` (node names or `client`).

        Returns:
            None where nothing is emulated: an end is not local and the link does not say `emulated`, or the
            description gives no value.
        """
        ends = [self.node_of[name] for name in (source, target) if name != CLIENT]
        link, default = self._link_of.get((source, target)), self.links.default
        if source == target or not (all(node.local for node in ends) or (link is not None and link.emulated)):
            return None
        chosen = link or default

        def value(key: str) -> float:
            own = getattr(chosen, key)
            return float((getattr(default, key) if own is None else own) or 0.0)

        delay, jitter, rate, loss = map(value, ("delay_seconds", "jitter_seconds", "bytes_per_second", "loss"))
        if not any((delay, jitter, rate, loss)):
            return None
        seed = zlib.crc32(f"{source}->{target}".encode())
        return LinkEmulation(delay_seconds=delay, jitter_seconds=jitter, bytes_per_second=rate, loss=loss, seed=seed)

    def describe_link(self, source: str, target: str) -> str | None:
        """How the link is emulated, in words: `delay 8 ms, 60 Mbit/s, by the sender`; None for a real one."""
        link = self.link_emulation(source, target)
        if link is None:
            return None
        jitter = f" ± {duration_text(link.jitter_seconds)}" if link.jitter_seconds else ""
        parts = (
            f"delay {duration_text(link.delay_seconds)}{jitter}" if link.delay_seconds or jitter else "",
            rate_text(link.bytes_per_second) if link.bytes_per_second else "",
            f"by a trace of {len(link.steps)} steps" if link.steps else "",
            f"loss {link.loss * 100:g} %" if link.loss else "",
            "by the sender",
        )
        return ", ".join(part for part in parts if part)


def load_cluster(path: Path) -> ClusterConfig:
    """The cluster that a YAML file describes; paths in it are taken from its folder, and services looked up.

    Raises:
        ConfigError: With every fault of the file, or why a service leads to no nodes.
    """
    config = checked_cluster(
        read_yaml(path, example="`splitfront init` writes an example"), source=str(path), folder=path.parent
    )
    if all(node.kubernetes is None for node in config.nodes):
        return config
    try:
        return config.model_copy(update={"nodes": with_pods(config.nodes)})
    except ValueError as exc:
        raise ConfigError(str(path), [str(exc)]) from exc


def parse_cluster(content: object, *, source: str = "the cluster") -> ClusterConfig:
    """The cluster that `content` describes in the words of the file (`memory: 512MiB`), as YAML would give it.

    Raises:
        ConfigError: With every fault.
    """
    return checked_cluster(YamlDocument(content=content, lines={}, faults=()), source=source)


def checked_cluster(document: YamlDocument, *, source: str, folder: Path = Path()) -> ClusterConfig:
    """The cluster that `document` describes; `source` names it in errors, `folder` is where its paths begin.

    Raises:
        ConfigError: With every fault.
    """
    faults = [*document.faults, *relation_faults(document.content)]
    config = None
    try:
        config = ClusterConfig.model_validate(document.content, context={"folder": folder})
    except ValidationError as exc:
        faults.extend(shape_faults(exc, ClusterConfig))
    if faults or config is None:
        raise ConfigError(source, fault_texts(faults, document.lines))
    return config


def cluster_json_schema() -> dict[str, object]:
    """JSON Schema of `cluster.yaml`, for editors that complete and check while one types."""
    schema = ClusterConfig.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "splitfront cluster.yaml"}
