"""Plans as random keys: the plain encoding, kept as a baseline beside which own operators are judged.

Source: Bean, "Genetic algorithms and random keys for sequencing and optimization", ORSA Journal on Computing 6, 1994.
"""

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlans
from partitioner.search.evolutionary.settling import Draft, n_stages, settle
from partitioner.search.problem import SearchProblem
from partitioner.search.sampling import possible_stages


def n_keys(problem: SearchProblem) -> int:
    """One for the number of stages, one for each device's place, one for each cut."""
    return 2 * problem.n_devices


def plans_of_keys(problem: SearchProblem, keys: FloatArray) -> EncodedPlans:
    """The plans that keys stand for; every row of keys stands for one.

    The first key is the number of stages, the next n_devices put the devices in order (least first), the others are
    cuts, sorted. Cuts that fall together cost a stage; pins are met by exchanging devices.

    Args:
        problem: Of the plans.
        keys: (n_plans, n_keys) float64, 0 … 1.
    """
    width, (least, most) = problem.n_devices, possible_stages(problem)
    wanted = least + np.minimum((keys[:, 0] * (most - least + 1)).astype(np.int64), most - least)
    devices = np.argsort(keys[:, 1 : width + 1], axis=1, kind="stable").astype(np.int64)
    n_inner = max(1, len(problem.positions) - 2)
    slots = 1 + np.minimum((keys[:, width + 1 :] * n_inner).astype(np.int64), n_inner - 1)
    columns = np.arange(width)
    is_cut = columns[:-1] < (wanted - 1)[:, None]
    inner = problem.positions[np.minimum(slots, len(problem.positions) - 1)]
    stops = np.sort(np.where(is_cut, inner, problem.n_units), axis=1)
    stops = np.hstack([stops, np.full((len(keys), 1), problem.n_units)])
    draft = Draft(devices=devices, stops=stops, works=columns < wanted[:, None])
    return settle(problem, draft, np.random.default_rng(0))


def keys_of_plans(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """(n_plans, n_keys) keys in the middle of what stands for each plan."""
    width, (least, most) = problem.n_devices, possible_stages(problem)
    keys = np.full((len(plans), n_keys(problem)), 0.5)
    keys[:, 0] = (n_stages(plans) - least + 0.5) / max(1, most - least + 1)
    n_inner = max(1, len(problem.positions) - 2)
    slots = np.searchsorted(problem.positions, plans.stops[:, :-1])
    keys[:, width + 1 :] = np.clip((slots - 0.5) / n_inner, 0.0, 1.0)
    for row, devices in enumerate(plans.devices):
        order = [*devices[devices >= 0].tolist()]
        order += [device for device in range(width) if device not in order]
        keys[row, 1 + np.array(order)] = (np.arange(width) + 0.5) / width
    return keys
