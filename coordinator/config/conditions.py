"""`conditions.yaml`: what the links of a probed cluster may be like, for a robust search."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StrictBool, ValidationError, WithJsonSchema

from coordinator.config.document import YamlDocument, read_yaml
from coordinator.config.faults import Fault, KeyPath, fault_texts, nearest, path_text, shape_faults
from coordinator.config.quantities import (
    DELAY_CHANGE_SCHEMA,
    RATE_CHANGE_SCHEMA,
    Change,
    Loss,
    Seconds,
    parse_delay_change,
    parse_rate_change,
)
from coordinator.config.sections import Name, Section
from coordinator.errors import ConfigError
from partitioner.cluster import Cluster
from partitioner.search.robust.network import PROBED, Direction, LinkCondition, NetworkCondition

DelayChange = Annotated[Change, BeforeValidator(parse_delay_change), WithJsonSchema(DELAY_CHANGE_SCHEMA)]
RateChange = Annotated[Change, BeforeValidator(parse_rate_change), WithJsonSchema(RATE_CHANGE_SCHEMA)]
_SAID = ("delay", "jitter", "rate", "loss")


class LinkChangeConfig(Section):
    """What becomes of a link. What is None stays as probed."""

    delay: DelayChange | None = None
    """One way: `20ms`, or `2x` what was probed."""
    jitter_seconds: Seconds | None = Field(default=None, alias="jitter")
    """Standard deviation of the delay."""
    rate: RateChange | None = None
    """`10mbit`, or `0.3x` what was probed."""
    loss: Loss | None = None
    """Probability that a packet is lost and sent again."""

    def as_value(self) -> LinkCondition:
        """The same in SI."""
        delay, rate = self.delay, self.rate
        return LinkCondition(
            delay_seconds=None if delay is None or delay.is_factor else delay.value,
            delay_factor=delay.value if delay and delay.is_factor else None,
            bytes_per_second=None if rate is None or rate.is_factor else rate.value,
            rate_factor=rate.value if rate and rate.is_factor else None,
            jitter_seconds=self.jitter_seconds,
            loss=self.loss,
        )


class NamedLinkConfig(LinkChangeConfig):
    """What becomes of one link, `client` included."""

    source: Name = Field(alias="from")
    target: Name = Field(alias="to")
    both: StrictBool = True
    """Whether it also holds for the way back."""


class ConditionConfig(Section):
    """A state of the whole network."""

    name: Name
    default: LinkChangeConfig = LinkChangeConfig()
    """Of every link."""
    between: tuple[NamedLinkConfig, ...] = ()
    """Of single links; what one leaves out comes from the default."""


class ConditionsConfig(Section):
    """The whole file."""

    conditions: Annotated[tuple[ConditionConfig, ...], Field(min_length=1)]


def load_conditions(path: Path, cluster: Cluster) -> tuple[NetworkCondition, ...]:
    """The conditions that a YAML file describes for a probed cluster.

    Raises:
        ConfigError: With every fault of the file.
    """
    return checked_conditions(
        read_yaml(path, example="`splitfront robust --help` shows one"), cluster, source=str(path)
    )


def checked_conditions(document: YamlDocument, cluster: Cluster, *, source: str) -> tuple[NetworkCondition, ...]:
    """The conditions that `document` describes; `source` names it in errors.

    Raises:
        ConfigError: With every fault.
    """
    faults = [*document.faults, *_relation_faults(document.content, cluster.link_of)]
    config = None
    try:
        config = ConditionsConfig.model_validate(document.content)
    except ValidationError as exc:
        faults.extend(shape_faults(exc, ConditionsConfig))
    if faults or config is None:
        raise ConfigError(source, fault_texts(faults, document.lines))
    return tuple(network_condition(entry, cluster.link_of) for entry in config.conditions)


def network_condition(entry: ConditionConfig, links: Collection[Direction]) -> NetworkCondition:
    """The same in SI, for the links that there are."""
    changes = {
        direction: change.as_value()
        for change in entry.between
        for direction in _directions(change.source, change.target, is_both=change.both)
        if direction in links
    }
    return NetworkCondition(name=entry.name, every_link=entry.default.as_value(), links=changes)


def _directions(source: str, target: str, *, is_both: bool) -> tuple[Direction, ...]:
    return ((source, target), (target, source)) if is_both else ((source, target),)


def _relation_faults(content: object, links: Collection[Direction]) -> Iterator[Fault]:
    """What no single value shows."""
    conditions = content.get("conditions") if isinstance(content, dict) else None
    first: dict[str, KeyPath] = {PROBED: ()}
    for index, condition in enumerate(conditions if isinstance(conditions, list) else []):
        path: KeyPath = ("conditions", index)
        if not isinstance(condition, dict):
            continue
        name = condition.get("name")
        if isinstance(name, str) and name in first:
            owner = f"that of {path_text(first[name])}" if first[name] else "what the links are as probed"
            yield Fault(path=(*path, "name"), message=f"'{name}' is already {owner}: choose another")
        elif isinstance(name, str):
            first[name] = path
        if not condition.get("default") and not condition.get("between"):
            yield Fault(path=path, message="changes nothing: wanted default, between or both")
        yield from between_faults(condition.get("between"), (*path, "between"), links)


def between_faults(between: object, path: KeyPath, links: Collection[Direction]) -> Iterator[Fault]:
    """What is wrong with single links of a condition, for the links that there are."""
    places = {name for direction in links for name in direction}
    first: dict[Direction, KeyPath] = {}
    for index, raw in enumerate(between if isinstance(between, list) else []):
        here = (*path, index)
        if not isinstance(raw, Mapping):
            continue
        if not any(key in raw for key in _SAID):
            yield Fault(path=here, message=f"says nothing: wanted {', '.join(_SAID[:-1])} or {_SAID[-1]}")
        source, target = raw.get("from"), raw.get("to")
        if not isinstance(source, str) or not isinstance(target, str):
            continue
        unknown = {key: name for key, name in (("from", source), ("to", target)) if name not in places}
        for key, name in unknown.items():
            yield Fault(path=(*here, key), message=f"there is no node '{name}': {nearest(name, places)}")
        directions = _directions(source, target, is_both=raw.get("both") is not False)
        if not unknown and not any(direction in links for direction in directions):
            yield Fault(path=here, message=f"the cluster has no link from '{source}' to '{target}': take it out")
        known = [first[direction] for direction in directions if direction in first]
        if known:
            yield Fault(path=here, message=f"says again what {path_text(known[0])} says: keep one")
        for direction in directions:
            first.setdefault(direction, here)
