"""Names of settings, of files, and of plans where there is little room."""

import re
from collections.abc import Callable, Iterable, Sequence

from coordinator.report.names import printable, shorten
from coordinator.report.sweep.series import Setting


def setting_names(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Names by setting, in their order: the model, and what else tells one of them from another."""
    parts: dict[str, Callable[[Setting], str]] = {
        "cluster": lambda one: one.cluster,
        "nodes": lambda one: " + ".join(one.nodes),
        "batch": lambda one: f"batch {one.batch}",
        "data_plane": lambda one: one.data_plane,
    }
    differing = [name for name in parts if len({getattr(one, name) for one in settings}) > 1]
    return {one: printable(", ".join([one.model, *(parts[name](one) for name in differing)])) for one in settings}


def slugs(names: Iterable[str]) -> tuple[str, ...]:
    """A file name for each, in small letters, digits, `-` and `_`; no two are equal."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:60] or "setting"
        number = 2
        unique = plain
        while unique in found:
            unique, number = f"{plain}-{number}", number + 1
        found.append(unique)
    return tuple(found)


def short_plan(plan: str, width: int = 18) -> str:
    """A plan beside a point: `12` for `split 12`, `pi-1` for `whole model on pi-1`."""
    for start in ("split ", "whole model on "):
        if plan.startswith(start):
            return shorten(plan.removeprefix(start), width)
    return shorten(plan, width)
