"""Links that take turns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMedium:
    """Links of which one sends at a time: a radio channel, a bus, both directions of a half-duplex line."""

    name: str
    links: tuple[tuple[str, str], ...]
    """(source, target); those that a plan does not use are no fault."""


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """Of its own among those of its kind."""


def repeated_names(shared: Sequence[Named], kind: str) -> Iterator[str]:
    """A fault for each name that is given twice among `media`, or another kind."""
    names = [one.name for one in shared]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield f"two {kind} are named {name!r}"


def links_of_two(media: Sequence[SharedMedium]) -> Iterator[str]:
    """A fault for each link that is in two media, for those who know one medium a link."""
    links = [link for medium in media for link in set(medium.links)]
    for source, target in sorted(set(links)):
        if links.count((source, target)) > 1:
            yield f"link {source!r} → {target!r} is in two media"
