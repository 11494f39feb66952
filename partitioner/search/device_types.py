"""Devices that are alike: exchanging two of them changes nothing, so that an engine only counts how many it uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.problem import SearchProblem

DeviceTypes = tuple[tuple[int, ...], ...]
"""Indices of the devices of each type, ascending; types in the order of their first devices."""


def find_device_types(problem: SearchProblem) -> DeviceTypes:
    """Groups the devices with equal times, equal limits and equal links to everybody; a pinned one is alone.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTypes:
    """Types of what may bear a stage: devices and crews."""

    members: DeviceTypes
    """Devices and crews of each type."""
    pools: DeviceTypes
    """Devices of each type of devices."""
    uses: tuple[tuple[int, int], ...]
    """(pool, number) of the devices that a stage of each type uses."""
    crews: tuple[tuple[int, ...], ...]
    """(n_devices,) members of each device or crew."""

    def take(self, kinds: Sequence[int]) -> list[int]:
        """Devices and crews of these types that have no member in common; devices are taken in their order."""
        unused = [list(pool) for pool in self.pools]
        device_of = {crew: device for device, crew in enumerate(self.crews)}
        taken = []
        for pool, size in (self.uses[kind] for kind in kinds):
            crew, unused[pool] = tuple(unused[pool][:size]), unused[pool][size:]
            taken.append(device_of[crew])
        return taken


def find_stage_types(problem: SearchProblem) -> StageTypes:
    """Groups devices and crews, and says what each uses."""
    crews = problem.crews or tuple((device,) for device in range(problem.n_devices))
    members = find_device_types(problem)
    pools = tuple(found for found in members if len(crews[found[0]]) == 1)
    pool_of = {device: index for index, pool in enumerate(pools) for device in pool}
    uses = tuple((pool_of[crews[found[0]][0]], len(crews[found[0]])) for found in members)
    return StageTypes(members=members, pools=pools, uses=uses, crews=crews)


def _links(problem: SearchProblem) -> FloatArray:
    """(n, n_devices + 1, n_devices + 1) delay, rates and media, without what is never used."""
    fixed = problem.link_fixed_seconds.copy()
    np.fill_diagonal(fixed, np.inf)
    rates = [problem.link_bytes_per_second, problem.link_busy_bytes_per_second]
    media = () if problem.link_media is None else tuple(problem.link_media)
    facts = (*(rate for rate in rates if rate is not None), *media)
    return np.stack([fixed, *(np.where(np.isfinite(fixed), fact, 1.0) for fact in facts)])


def _are_alike(problem: SearchProblem, links: FloatArray, one: int, other: int) -> bool:
    sizes = problem.crew_sizes
    if {one, other} & {problem.pinned_first, problem.pinned_last} or sizes[one] != sizes[other]:
        return False
    order = np.arange(links.shape[1])
    order[[one, other]] = other, one
    weights = problem.processor_weights
    if weights is not None and not np.array_equal(weights[:, one], weights[:, other]):
        return False
    stages = [problem.allowed_seconds, problem.work_seconds, *(quantity.stage for quantity in problem.quantities)]
    return np.array_equal(links, links[:, order[:, None], order]) and all(
        np.array_equal(table[one], table[other]) for table in {id(table): table for table in stages}.values()
    )
