"""Random plans that obey pins, stages and positions. Links and memory are left to the evaluation."""

import numpy as np

from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, evaluate
from partitioner.search.problem import SearchProblem


def random_plans(problem: SearchProblem, n_plans: int, random: np.random.Generator) -> EncodedPlans:
    """Plans of one to `max_stages` stages, every number of stages equally likely, devices and cuts uniform."""
    return encode_plans(problem, [_random_plan(problem, random) for _ in range(n_plans)])


def random_valid_plans(problem: SearchProblem, n_plans: int, random: np.random.Generator) -> EncodedPlans:
    """Different random plans that links and memory allow: `n_plans`, or fewer where they are rare."""
    drawn = random_plans(problem, 4 * n_plans, random).unique()
    valid = drawn.take(np.isfinite(evaluate(problem, drawn)[:, 0]))
    return valid.take(np.sort(random.permutation(len(valid))[:n_plans]))


def possible_stages(problem: SearchProblem) -> tuple[int, int]:
    """Least and most stages that pins, devices and positions permit; (2, 1) or the like where none does."""
    first, last = problem.pinned_first, problem.pinned_last
    least = 2 if None not in (first, last) and first != last else 1
    most = 1 if first is not None and first == last else min(problem.max_stages, len(problem.positions) - 1)
    return least, most


def _random_plan(problem: SearchProblem, random: np.random.Generator) -> EncodedPlan:
    least, most = possible_stages(problem)
    n_stages = int(random.integers(least, max(least, most) + 1))
    devices = random_devices(problem, n_stages, random)
    cuts = np.sort(random.choice(problem.positions[1:-1], n_stages - 1, replace=False)).tolist()
    return list(zip(devices, (*cuts, problem.n_units), strict=True))


def random_devices(problem: SearchProblem, n_stages: int, random: np.random.Generator) -> list[int]:
    """Different devices in random order, the pinned ones in their places."""
    first, last = problem.pinned_first, problem.pinned_last
    free = [device for device in random.permutation(problem.n_devices).tolist() if device not in (first, last)]
    head = [] if first is None else [first]
    tail = [] if last is None or (last == first and n_stages == 1) else [last]
    return [*head, *free[: n_stages - len(head) - len(tail)], *tail]
