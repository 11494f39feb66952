"""Processors as people write them in `cluster.yaml`: `[0, 2]` or `0,2-3`."""

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from node_agent.config import MAX_CORES, parse_cores
from node_agent.errors import AgentConfigError


def parse_core_list(value: object) -> tuple[int, ...]:
    """Numbers of processors, ascending, each once.

    Raises:
        ValueError: `value` names none; a single number is refused, because it might be meant as a count.
    """
    if isinstance(value, str):
        try:
            return parse_cores(value)
        except AgentConfigError as exc:
            raise ValueError(f"'{value[:40]}' names no processors: write [0, 2] or 0,2-3") from exc
    if isinstance(value, list | tuple) and value and all(map(_is_core, value)):
        return tuple(sorted(set(value)))
    if _is_core(value):
        raise ValueError(f"{value} may be a number or a count: write [{value}] for processor {value}")
    raise ValueError(f"wanted processors from 0 to {MAX_CORES - 1}: write [0, 2] or 0,2-3")


def _is_core(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_CORES


_SCHEMA = {
    "anyOf": [
        {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": MAX_CORES - 1}},
        {"type": "string", "pattern": "^ *[0-9]+(-[0-9]+)? *(, *[0-9]+(-[0-9]+)? *)*$", "examples": ["0,2-3"]},
    ]
}

Cores = Annotated[tuple[int, ...], BeforeValidator(parse_core_list), WithJsonSchema(_SCHEMA)]
