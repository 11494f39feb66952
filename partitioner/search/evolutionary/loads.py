"""What each resource of a plan bears, many plans at a time."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.encoding import EncodedPlans
from partitioner.search.problem import SearchProblem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Loads:
    """Seconds for which a request keeps each resource busy; 0 where a plan has no such stage or hop."""

    stages: FloatArray
    """(n_plans, n_devices) in the order of the flow; memory limits do not count."""
    hops: FloatArray
    """(n_plans, n_devices + 1): hop k leads to stage k, the last one back to the client; infinity without a link."""

    @property
    def bottlenecks(self) -> FloatArray:
        """(n_plans,) of the busiest resource."""
        busiest: FloatArray = np.maximum(self.stages.max(axis=1), self.hops.max(axis=1))
        return busiest

    @property
    def busiest(self) -> tuple[IntArray, BoolArray]:
        """(n_plans,) index of the busiest stage or hop, and whether it is a hop."""
        is_hop = self.hops.max(axis=1) > self.stages.max(axis=1)
        return np.where(is_hop, np.argmax(self.hops, axis=1), np.argmax(self.stages, axis=1)), is_hop


def loads_of(problem: SearchProblem, plans: EncodedPlans) -> Loads:
    """Loads of plans."""
    n_plans, client = len(plans), problem.n_devices
    works = plans.devices >= 0
    devices = np.where(works, plans.devices, 0)
    starts = np.hstack([np.zeros((n_plans, 1), dtype=np.int64), plans.stops[:, :-1]])
    stages = np.where(works, problem.device_seconds[devices, np.where(works, starts, 0), plans.stops], 0.0)
    ends = np.full((n_plans, 1), client)
    places = np.where(works, plans.devices, client)
    sources, targets = np.hstack([ends, places]), np.hstack([places, ends])
    positions = np.hstack([np.zeros((n_plans, 1), dtype=np.int64), plans.stops])
    goes_on = np.hstack([np.ones((n_plans, 1), dtype=np.bool_), works])
    hops = np.where(goes_on, problem.busy_seconds[sources, targets, positions], 0.0)
    return Loads(stages=stages, hops=hops)
