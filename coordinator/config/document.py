"""Reading YAML with what its ordinary loader forgets: line numbers, and keys that are written twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from coordinator.config.faults import Fault, KeyPath
from coordinator.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlDocument:
    """What a file holds."""

    content: object
    lines: dict[KeyPath, int]
    """Line of each key and list item, 1-based."""
    faults: tuple[Fault, ...]
    """Keys that are written twice; the ordinary loader would keep the last."""


def read_yaml(path: Path, *, example: str) -> YamlDocument:
    """The one document in `path`; `example` says where one finds such a file, where this one is missing.

    Raises:
        ConfigError: The file is missing, unreadable or not YAML.
    """
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(str(path), [f"there is no such file: {example}"]) from exc
    except OSError as exc:
        raise ConfigError(str(path), [f"it cannot be read: {exc.strerror}"]) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), ["it is not text: wanted YAML in UTF-8"]) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise ConfigError(str(path), [f"it is not YAML: {_why(exc)}"]) from exc


def parse_yaml(text: str) -> YamlDocument:
    """The one document in `text`.

    Raises:
        yaml.YAMLError: It is not YAML.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlDocument(content=None, lines={}, faults=())
        entries = tuple(_entries(root, (), set()))
        content = loader.construct_document(root)
    finally:
        loader.dispose()
    lines: dict[KeyPath, int] = {}
    faults = []
    for path, line in entries:
        if path in lines:
            faults.append(Fault(path=path, message=f"is written again in line {line}: keep one"))
        lines.setdefault(path, line)
    return YamlDocument(content=content, lines=lines, faults=tuple(faults))


class _Loader(yaml.SafeLoader):
    """Tells of a scalar that is none of its kind, such as the 30th of February, as of any other fault."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """The value of a node."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError) as exc:
            problem = f"'{str(node.value)[:40]}' is no {node.tag.rpartition(':')[2]}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from exc


def _entries(node: yaml.Node, path: KeyPath, seen: set[int]) -> Iterator[tuple[KeyPath, int]]:
    """(path, line) of everything below `node`; an alias is entered once, so that none can explode or go in circles."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, child) for key, child in node.value if isinstance(key, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, child, child) for index, child in enumerate(node.value)]
    else:
        return
    for name, marked, child in children:
        yield (*path, name), marked.start_mark.line + 1
        yield from _entries(child, (*path, name), seen)


def _why(exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or "it is nested too deeply or holds characters that YAML forbids"
    return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)
