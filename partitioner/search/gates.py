"""Codecs as part of the problem: a *gate* is a split point with the codec in which the boundary crosses it.

Gates take the place of positions. A stage from gate to gate decodes, computes and encodes, all of which keeps its
device busy; the hop carries the coded bytes. So every engine that chooses positions chooses codecs as well.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from partitioner.codec import NO_CODEC
from partitioner.cost import CostModel
from partitioner.front import FloatArray
from partitioner.search.problem import SearchProblem


def with_codecs(problem: SearchProblem, codecs: Sequence[str]) -> SearchProblem:
    """The same problem in which boundaries may also cross in some of the codecs of its cost model.

    The hops from and to the client carry tensors as they are. Gates are ordered by split point. A codec is left out at
    a split point where another is no worse in bytes, error, and the seconds of every device.
    """
    model = problem.cost_model
    chosen = [codec for codec in dict.fromkeys(codecs) if codec != NO_CODEC]
    if model is None or not chosen:
        return problem
    gates = [
        (position, codec)
        for position in range(problem.n_units + 1)
        for codec in _codecs_at(problem, model, position, chosen)
    ]
    at = np.array([position for position, _ in gates], dtype=np.int64)
    encode, decode = _coding_seconds(problem, model, gates)
    between = np.ix_(np.arange(problem.n_devices), at, at)
    busy = problem.stage_busy_seconds
    return replace(
        problem,
        stage_seconds=decode[:, :, None] + problem.stage_seconds[between] + encode[:, None, :],
        stage_busy_seconds=None if busy is None else decode[:, :, None] + busy[between] + encode[:, None, :],
        stage_memory_bytes=problem.stage_memory_bytes[between],
        boundary_bytes=np.array([model.wire_bytes(*gate) for gate in gates], dtype=np.float64),
        boundary_errors=np.array([model.output_error(*gate) for gate in gates], dtype=np.float64),
        is_position_allowed=problem.is_position_allowed[at],
        gate_positions=at,
        gate_codecs=tuple(codec for _, codec in gates),
    )


def _codecs_at(problem: SearchProblem, model: CostModel, position: int, codecs: list[str]) -> list[str]:
    if position in (0, problem.n_units):
        return [NO_CODEC]
    usable = [NO_CODEC, *(codec for codec in codecs if np.isfinite(model.output_error(position, codec)))]
    costs = np.array([_costs(problem, model, position, codec) for codec in usable])
    is_kept = [
        not any(
            np.all(costs[other] <= costs[index]) and (np.any(costs[other] < costs[index]) or other < index)
            for other in range(len(usable))
            if other != index
        )
        for index in range(len(usable))
    ]
    return [codec for codec, is_one in zip(usable, is_kept, strict=True) if is_one]


def _costs(problem: SearchProblem, model: CostModel, position: int, codec: str) -> list[float]:
    seconds = [model.coding_seconds(name, position, codec) for name in problem.device_names]
    return [model.wire_bytes(position, codec), model.output_error(position, codec), *np.ravel(seconds).tolist()]


def _coding_seconds(
    problem: SearchProblem, model: CostModel, gates: list[tuple[int, str]]
) -> tuple[FloatArray, FloatArray]:
    """(encode, decode), each (n_devices, n_gates)."""
    seconds = np.array([[model.coding_seconds(name, *gate) for gate in gates] for name in problem.device_names])
    return seconds[:, :, 0], seconds[:, :, 1]


def gate_of(problem: SearchProblem, position: int) -> tuple[int, str]:
    """(split point, codec) of a position of a problem."""
    if problem.gate_positions is None or problem.gate_codecs is None:
        return position, NO_CODEC
    return int(problem.gate_positions[position]), problem.gate_codecs[position]
