"""What happens in the child: it is confined, judges the graph, opens it, and runs it once on zeroes."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from node_agent.errors import ShardRejectedError
from node_agent.host.facts import held_bytes
from node_agent.host.runtime import UNKNOWN_SIZE, RuntimeOptions, specs_of, start_session
from node_agent.host.trials.confinement import confine
from node_agent.host.trials.graph_rules import MAX_GRAPH_BYTES, GraphBounds, TooLargeError, check_graph
from node_agent.host.trials.order import TrialOrder, TrialOutcome, Verdict, outcome_to_line
from node_agent.messages import TensorSpec

_MAX_DETAIL_CHARACTERS = 600
_SIGNS_OF_MEMORY = ("bad allocation", "bad_alloc", "failed to allocate", "out of memory", "length_error")


def work_in_child(order: TrialOrder, answer_to: int, parent: int) -> None:
    """Tries a shard in this process, tells the outcome, and ends the process.

    Args:
        order: What to try.
        answer_to: Descriptor of the pipe for the outcome.
        parent: Number of the process that this one was forked from.
    """
    try:
        confine(order.confinement, n_weights=len(order.blobs), kept=answer_to, parent=parent)
        before = held_bytes()
    except OSError as exc:
        outcome = TrialOutcome(verdict=Verdict.NOT_CONFINED, detail=f"{exc.strerror or exc}")
    else:
        outcome = _try(order, before)
    os.write(answer_to, outcome_to_line(outcome))
    os._exit(0)


def _try(order: TrialOrder, before: int) -> TrialOutcome:
    try:
        n_bytes = run_once(order) - before
    except MemoryError:
        return TrialOutcome(verdict=Verdict.MEMORY)
    except TooLargeError as exc:
        return TrialOutcome(verdict=Verdict.MEMORY, detail=str(exc)[:_MAX_DETAIL_CHARACTERS])
    except Exception as exc:  # noqa: BLE001 - whatever it is, the helper tells it, and the agent raises it
        text = " ".join(str(exc).split())
        if any(sign in text.lower() for sign in _SIGNS_OF_MEMORY):
            return TrialOutcome(verdict=Verdict.MEMORY)
        if not isinstance(exc, ShardRejectedError):
            text = f"{type(exc).__name__}: {text}"
        return TrialOutcome(verdict=Verdict.REFUSED, detail=text[:_MAX_DETAIL_CHARACTERS])
    return TrialOutcome(verdict=Verdict.PASSED, memory_bytes=max(n_bytes, 0))


def run_once(order: TrialOrder) -> int:
    """Judges, opens and runs a shard; gives the bytes that this process then holds.

    That the run itself fails is no fault of the shard: zeroes need not make sense to it. That it ends is what counts.

    Raises:
        ShardRejectedError: The shard breaks a rule, or onnxruntime cannot load it.
        MemoryError: There is too little.
    """
    folder = Path(order.folder)
    content = _read(folder / order.graph, order.graph)
    blobs = {digest: _size_of(folder / digest) for digest in order.blobs}
    check_graph(content, GraphBounds(blobs=blobs, memory_bytes=order.confinement.memory_bytes))
    options = RuntimeOptions(n_threads=1, providers=order.providers, optimisation=order.optimisation)
    session = start_session(folder / order.graph, options)
    specs_of(session.get_outputs())
    feeds = {spec.name: _zeroes(spec, order) for spec in specs_of(session.get_inputs())}
    _run(session, feeds)
    return held_bytes()


def _run(session: Any, feeds: dict[str, np.ndarray]) -> None:
    try:
        session.run(None, feeds)
    except MemoryError:
        raise
    except Exception as exc:
        if any(sign in str(exc).lower() for sign in _SIGNS_OF_MEMORY):
            raise MemoryError from exc


def _zeroes(spec: TensorSpec, order: TrialOrder) -> np.ndarray:
    shape = spec.shape if UNKNOWN_SIZE not in spec.shape else order.sizes.get(spec.name, spec.shape)
    if UNKNOWN_SIZE in shape:
        raise ShardRejectedError(
            f"Input {spec.name!r} has the shape {spec.shape}, and nobody announces its sizes: write all into the shard."
        )
    return np.zeros(shape, spec.dtype)


def _read(path: Path, digest: str) -> bytes:
    """The graph, if it is what its name says: a disk may have lost a bit since it was put."""
    if _size_of(path) > MAX_GRAPH_BYTES:
        return bytes(MAX_GRAPH_BYTES + 1)  # `check_graph` refuses it by its length
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ShardRejectedError(
            f"The graph on the node's disk is damaged, it has the digest {found}: delete it from the store, and send "
            "it again."
        )
    return content


def _size_of(path: Path) -> int:
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ShardRejectedError(f"What the store has as {path.name} is no plain file.")
    return found.st_size
