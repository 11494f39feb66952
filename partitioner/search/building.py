"""From a cost model and wishes to a search problem."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from partitioner.cluster import CLIENT, Cluster
from partitioner.codec import NO_CODEC
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.front import BoolArray, FloatArray
from partitioner.search.crews import with_replicas
from partitioner.search.gates import with_codecs
from partitioner.search.problem import ENERGY, ERROR, QUANTITIES, TWO_OBJECTIVES, SearchProblem


def build_problem(
    cost_model: CostModel,
    *,
    pinned_first: str | None = None,
    pinned_last: str | None = None,
    max_stages: int | None = None,
    positions: Sequence[int] | None = None,
    objectives: Sequence[str] = TWO_OBJECTIVES,
    bounds: Mapping[str, float] | None = None,
    codecs: Sequence[str] = (),
    max_replicas: int = 1,
) -> SearchProblem:
    """The problem of splitting a cost model's graph over its cluster.

    Args:
        cost_model: What plans cost.
        pinned_first: Device that must bear the first stage.
        pinned_last: Device that must bear the last stage.
        max_stages: Most stages of a plan; the number of devices where it is None.
        positions: Where the graph may be split, 1 … n_units - 1; anywhere where it is None.
        objectives: Two or more of `QUANTITIES`.
        bounds: The most of some of `QUANTITIES`.
        codecs: Of the cost model's codecs, those that a boundary may be sent in, beside none.
        max_replicas: Most identical devices that bear one stage in turn.

    Raises:
        PlanError: A wish names what is not there, or is out of range; the message says which and what is wanted.
    """
    bounds = dict(bounds or {})
    check_objectives(objectives, bounds, codecs)
    _check_known(cost_model, objectives, bounds, codecs)
    cluster = cost_model.cluster
    names = tuple(device.name for device in cluster.devices)
    fixed, rate, busy_rate = link_arrays(cluster, names)
    seconds = np.stack([cost_model.stage_seconds_matrix(name) for name in names])
    busy = np.stack([cost_model.stage_busy_matrix(name) for name in names])
    problem = SearchProblem(
        device_names=names,
        stage_seconds=seconds,
        stage_memory_bytes=np.stack([cost_model.stage_memory_matrix(name) for name in names]).astype(np.float64),
        device_memory_bytes=np.array([device.memory_bytes for device in cluster.devices], dtype=np.float64),
        boundary_bytes=np.array(cost_model.boundary_bytes, dtype=np.float64),
        link_fixed_seconds=fixed,
        link_bytes_per_second=rate,
        is_position_allowed=_allowed_positions(cost_model.graph.n_units, positions),
        max_stages=_checked_max_stages(len(names), max_stages),
        pinned_first=device_index(names, pinned_first),
        pinned_last=device_index(names, pinned_last),
        objectives=tuple(objectives),
        bounds=bounds,
        device_watts=_watts(cluster),
        stage_busy_seconds=None if np.array_equal(seconds, busy) else busy,
        link_busy_bytes_per_second=busy_rate,
        link_media=_link_media(cluster, names),
        processor_weights=_processor_weights(cluster, names),
        cost_model=cost_model,
    )
    return with_replicas(with_codecs(problem, codecs), _checked_replicas(max_replicas))


def check_objectives(objectives: Sequence[str], bounded: Collection[str], codecs: Sequence[str]) -> None:
    """Does nothing where plans with these codecs can be judged by the objectives and bounds, whatever they cost.

    Raises:
        PlanError: They cannot; the message says what is wanted.
    """
    unknown = [name for name in (*objectives, *bounded) if name not in QUANTITIES]
    if unknown:
        raise PlanError(f"{', '.join(map(repr, unknown))} cannot be searched: choose among {', '.join(QUANTITIES)}.")
    if len(objectives) < 2 or len(set(objectives)) < len(objectives):
        raise PlanError(f"A front wants two or more different objectives; got {', '.join(objectives) or 'none'}.")
    if ERROR in (*objectives, *bounded) and not codecs:
        raise PlanError("Without codecs every plan has output error 0: allow some with --codecs, or drop the error.")


def _check_known(
    cost_model: CostModel, objectives: Sequence[str], bounds: Mapping[str, float], codecs: Sequence[str]
) -> None:
    wrong = [f"{name} <= {most}" for name, most in bounds.items() if not most >= 0]
    if wrong:
        raise PlanError(f"Bounds {', '.join(wrong)} cannot be kept: want 0 or more.")
    silent = [device.name for device in cost_model.cluster.devices if device.active_watts is None]
    if ENERGY in (*objectives, *bounds) and silent:
        raise PlanError(f"Energy wants the power of every device; {', '.join(silent)} name no active_watts.")
    known = set(cost_model.codecs.coding_of if cost_model.codecs else ())
    missing = [codec for codec in codecs if codec not in known and codec != NO_CODEC]
    if missing:
        raise PlanError(
            f"Codecs {', '.join(missing)} were not measured (measured are: {', '.join(sorted(known)) or 'none'}): "
            f"profile with --codecs."
        )


def _watts(cluster: Cluster) -> FloatArray | None:
    watts = [device.active_watts for device in cluster.devices]
    return None if None in watts else np.array(watts, dtype=np.float64)


def link_arrays(cluster: Cluster, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Arguments of `SearchProblem.with_links` for a problem whose devices have these names."""
    index_of = {name: index for index, name in enumerate((*names, CLIENT))}
    fixed = np.full((len(index_of), len(index_of)), np.inf)
    rate, busy_rate = np.ones_like(fixed), np.ones_like(fixed)
    for link in cluster.links:
        pair = index_of[link.source], index_of[link.target]
        fixed[pair], rate[pair] = link.fixed_seconds, link.bytes_per_second
        busy_rate[pair] = link.sustained_bytes_per_second
    return fixed, rate, None if np.array_equal(rate, busy_rate) else busy_rate


def _link_media(cluster: Cluster, names: tuple[str, ...]) -> BoolArray | None:
    """`SearchProblem.link_media`; media without a link are left out."""
    index_of = {name: index for index, name in enumerate((*names, CLIENT))}
    found = np.zeros((len(cluster.media), len(index_of), len(index_of)), dtype=np.bool_)
    for index, medium in enumerate(cluster.media):
        for source, target in medium.links:
            found[index, index_of[source], index_of[target]] = (source, target) in cluster.link_of
    kept: BoolArray = found[found.any(axis=(1, 2))]
    return kept if len(kept) else None


def _processor_weights(cluster: Cluster, names: tuple[str, ...]) -> FloatArray | None:
    """`SearchProblem.processor_weights`; processors with a single device, which bound nothing, are left out."""
    shared = [dict(processor.shares) for processor in cluster.processors if len(processor.shares) > 1]
    return np.array([[weights.get(name, 0.0) for name in names] for weights in shared]) if shared else None


def _allowed_positions(n_units: int, positions: Sequence[int] | None) -> BoolArray:
    allowed = np.full(n_units + 1, positions is None)
    allowed[[0, n_units]] = True
    wrong = [position for position in positions or () if not 0 < position < n_units]
    if wrong:
        raise PlanError(f"Positions {wrong} are no split points: wanted 1 … {n_units - 1}.")
    allowed[list(positions or ())] = True
    return allowed


def _checked_max_stages(n_devices: int, max_stages: int | None) -> int:
    if max_stages is not None and max_stages < 1:
        raise PlanError(f"max_stages is {max_stages}: wanted 1 or more.")
    return min(n_devices, max_stages or n_devices)


def _checked_replicas(max_replicas: int) -> int:
    if max_replicas < 1:
        raise PlanError(f"max_replicas is {max_replicas}: wanted 1 or more.")
    return max_replicas


def device_index(names: Sequence[str], name: str | None) -> int | None:
    """The index of a pinned device among all; None where none is pinned.

    Raises:
        PlanError: There is none of this name.
    """
    if name is None:
        return None
    if name not in names:
        raise PlanError(f"Pinned device {name!r} is unknown: the cluster has {', '.join(names)}.")
    return names.index(name)
