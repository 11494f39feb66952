"""Devices that are alike: exchanging two of them changes nothing, so that an engine only counts how many it uses."""

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.problem import SearchProblem

DeviceTypes = tuple[tuple[int, ...], ...]
"""Indices of the devices of each type, ascending; types in the order of their first devices."""


def find_device_types(problem: SearchProblem) -> DeviceTypes:
    """Groups the devices with equal stage times, equal limits and equal links to everybody; a pinned one is alone.

    Being exchangeable is transitive, so that comparing with one member of a type is enough.
    """
    links = _links(problem)
    types: list[list[int]] = []
    for device in range(problem.n_devices):
        for members in types:
            if _are_alike(problem, links, members[0], device):
                members.append(device)
                break
        else:
            types.append([device])
    return tuple(tuple(members) for members in types)


def _links(problem: SearchProblem) -> FloatArray:
    """(2, n_devices + 1, n_devices + 1) delay and rate, without what is never used."""
    fixed = problem.link_fixed_seconds.copy()
    np.fill_diagonal(fixed, np.inf)
    return np.stack([fixed, np.where(np.isfinite(fixed), problem.link_bytes_per_second, 1.0)])


def _are_alike(problem: SearchProblem, links: FloatArray, one: int, other: int) -> bool:
    if {one, other} & {problem.pinned_first, problem.pinned_last}:
        return False
    order = np.arange(links.shape[1])
    order[[one, other]] = other, one
    stages = [problem.allowed_seconds, problem.work_seconds, *(quantity.stage for quantity in problem.quantities)]
    return np.array_equal(links, links[:, order[:, None], order]) and all(
        np.array_equal(table[one], table[other]) for table in {id(table): table for table in stages}.values()
    )
