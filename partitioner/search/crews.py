"""Replicas as part of the problem: a *crew* is a group of identical devices that bear one stage in turn.

A crew stands beside the devices as a device of its own that takes as long as each member, but is busy for a share of
it. Devices and crews that have a member in common never work in one plan. Neighbours in a type suffice as crews: groups
of any sizes that fit into a type can be laid side by side.
"""

import math
from dataclasses import replace

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.device_types import DeviceTypes, find_device_types
from partitioner.search.problem import SearchProblem


def with_replicas(problem: SearchProblem, most: int) -> SearchProblem:
    """The same problem in which up to `most` identical devices may bear a stage together. A pinned device is alone."""
    types = find_device_types(problem)
    crews = [
        members[first : first + size]
        for members in types
        for size in range(2, min(len(members), most) + 1)
        for first in range(len(members) - size + 1)
    ]
    if not crews:
        return problem
    everyone = tuple((device,) for device in range(problem.n_devices)) + tuple(crews)
    alike = np.array([crew[0] for crew in everyone])
    links = _link_ends(problem, types, everyone)
    watts, busy, busy_rate = problem.device_watts, problem.stage_busy_seconds, problem.link_busy_bytes_per_second
    media, weights = problem.link_media, problem.processor_weights
    return replace(
        problem,
        device_names=tuple("+".join(problem.device_names[member] for member in crew) for crew in everyone),
        stage_seconds=problem.stage_seconds[alike],
        stage_memory_bytes=problem.stage_memory_bytes[alike],
        device_memory_bytes=problem.device_memory_bytes[alike],
        link_fixed_seconds=problem.link_fixed_seconds[links],
        link_bytes_per_second=problem.link_bytes_per_second[links],
        device_watts=None if watts is None else watts[alike],
        stage_busy_seconds=None if busy is None else busy[alike],
        link_busy_bytes_per_second=None if busy_rate is None else busy_rate[links],
        link_media=None if media is None else media[:, *links],
        processor_weights=None if weights is None else _crew_weights(weights, everyone),
        crews=everyone,
    )


def _crew_weights(weights: FloatArray, crews: tuple[tuple[int, ...], ...]) -> FloatArray:
    """(n_processors, n_crews): while each member is busy, each uses its part."""
    return np.array([[math.fsum(row[member] for member in crew) for crew in crews] for row in weights])


def crew_of(problem: SearchProblem, device: int) -> tuple[int, ...]:
    """The members of a device of a problem: itself, where it is alone."""
    return (device,) if problem.crews is None else problem.crews[device]


def _link_ends(
    problem: SearchProblem, types: DeviceTypes, crews: tuple[tuple[int, ...], ...]
) -> tuple[IntArray, IntArray]:
    """(source, target) devices whose link is that of two crews, each (n_crews + 1, n_crews + 1).

    Within a type all links between different devices are equal; what matters is only to take a pair that differs.
    """
    members_of = {member: members for members in types for member in members}
    first = np.array([*(members_of[crew[0]][0] for crew in crews), problem.n_devices])
    last = np.array([*(members_of[crew[0]][-1] for crew in crews), problem.n_devices])
    return np.broadcast_to(first[:, None], (len(first),) * 2), np.broadcast_to(last[None, :], (len(last),) * 2)
