"""Links that take turns."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMedium:
    """Links of which one sends at a time: an access point, a bus, both directions of a half-duplex line."""

    name: str
    links: tuple[tuple[str, str], ...]
    """(source, target); those that a plan does not use are no fault."""


def media_faults(media: Sequence[SharedMedium]) -> tuple[str, ...]:
    """Names that are given twice, and links that are in two media."""
    names = [medium.name for medium in media]
    links = [link for medium in media for link in set(medium.links)]
    return (
        *(f"two media are named {name!r}" for name in sorted(set(names)) if names.count(name) > 1),
        *(f"link {a!r} → {b!r} is in two media" for a, b in sorted(set(links)) if links.count((a, b)) > 1),
    )
