"""What the agent asks of its helper, and what it is told: one line of JSON each."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from node_agent.host.trials.confinement import Confinement

MAX_LINE_BYTES = 1 << 20


class Verdict(StrEnum):
    """How a trial ended."""

    PASSED = "passed"
    REFUSED = "refused"
    """By a rule, or by onnxruntime; `detail` says why."""
    MEMORY = "memory"
    """`detail` may say what wants so much."""
    CPU_TIME = "cpu time"
    WALL_TIME = "wall time"
    CRASHED = "crashed"
    """`detail` names the signal or the exit status."""
    NOT_CONFINED = "not confined"
    """The system did not allow it to be limited; `detail` says why. Nothing was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """A shard to be tried."""

    folder: str
    """Of the store."""
    graph: str
    """Digest, as all names here."""
    blobs: tuple[str, ...]
    sizes: Mapping[str, tuple[int, ...]]
    """Shapes by input, for those that the graph leaves open."""
    providers: tuple[str, ...]
    optimisation: str
    confinement: Confinement
    wall_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What came of it."""

    verdict: Verdict
    detail: str = ""
    memory_bytes: int = 0
    """Most that the trial held beyond what it began with; weights, which are mapped files, do not count."""


def order_to_line(order: TrialOrder) -> bytes:
    """One line."""
    return json.dumps(dataclasses.asdict(order)).encode() + b"\n"


def order_from_line(line: bytes) -> TrialOrder:
    """The order of a line that this program wrote."""
    read = json.loads(line)
    return TrialOrder(
        **read
        | {
            "blobs": tuple(read["blobs"]),
            "sizes": {name: tuple(shape) for name, shape in read["sizes"].items()},
            "providers": tuple(read["providers"]),
            "confinement": Confinement(**read["confinement"]),
        }
    )


def outcome_to_line(outcome: TrialOutcome) -> bytes:
    """One line."""
    return json.dumps(dataclasses.asdict(outcome)).encode() + b"\n"


def outcome_from_line(line: bytes) -> TrialOutcome:
    """The outcome of a line, which may come from a process that a hostile graph took over.

    Raises:
        ValueError: It is none.
    """
    read: Any = json.loads(line)
    try:
        return TrialOutcome(
            verdict=Verdict(read["verdict"]), detail=str(read["detail"]), memory_bytes=int(read["memory_bytes"])
        )
    except (KeyError, TypeError) as exc:
        raise ValueError("the line tells of no outcome") from exc
