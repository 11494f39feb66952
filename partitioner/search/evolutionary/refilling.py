"""New cuts for given orders of devices: each device takes as much as a bound lets it."""

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlans
from partitioner.search.evolutionary.settling import Draft, compact
from partitioner.search.problem import SearchProblem


def refill(problem: SearchProblem, plans: EncodedPlans, bounds: FloatArray) -> EncodedPlans:
    """The plans' devices in their order, each stopping as far as it and its next link stay under a bound.

    Where no position does, a stage takes the least that it can. The last device takes the rest, whatever it is. Devices
    for which nothing is left go.

    Args:
        problem: Of the plans.
        plans: Whose orders of devices to keep.
        bounds: (n_plans,) seconds for which no resource should be busier.
    """
    kept, rows = problem.positions, np.arange(len(plans))
    last_slot = len(kept) - 1
    slots = np.zeros(len(plans), dtype=np.int64)
    stops = plans.stops.copy()
    for column in range(problem.n_devices - 1):
        device, following = plans.devices[:, column], plans.devices[:, column + 1]
        goes_on = following >= 0
        fits = problem.work_seconds[device, kept[slots]][:, kept] <= bounds[:, None]
        fits &= problem.busy_seconds[device, following][:, kept] <= bounds[:, None]
        furthest = last_slot - np.argmax(fits[:, ::-1], axis=1)
        furthest = np.where(fits[rows, furthest], furthest, np.minimum(slots + 1, last_slot))
        slots = np.where(goes_on, furthest, slots)
        stops[:, column] = np.where(goes_on, kept[slots], stops[:, column])
    works = plans.devices >= 0
    starts = np.hstack([np.zeros((len(plans), 1), dtype=np.int64), stops[:, :-1]])
    return compact(problem, Draft(devices=plans.devices, stops=stops, works=works & (starts < stops)))
