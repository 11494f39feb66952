"""The sources of this repository, as the tests of its architecture see them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("partitioner", "node_agent", "coordinator", "deploy")
GENERATED = "node_agent/wire/"


def shipped_files() -> Iterator[tuple[str, ast.Module]]:
    """(path from the root, syntax tree) of each Python file of ours that a wheel holds."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(GENERATED):
                yield name, ast.parse(path.read_text(encoding="utf-8"), filename=name)


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all that a file imports, wherever in it: `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, package: str) -> bool:
    """Whether a dotted name is `package` or inside it."""
    return name == package or name.startswith(f"{package}.")
