"""One search problem under many conditions of its links; the conditions share the tables of stage times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.errors import PlanError
from partitioner.front import FloatArray
from partitioner.search.conditions import PROBED, NetworkCondition, apply_condition
from partitioner.search.encoding import EncodedPlans, evaluate
from partitioner.search.problem import SearchProblem


@dataclass(frozen=True, eq=False, kw_only=True)
class Conditions:
    """The conditions in the order of their names, so that no order in which they came can matter to the last bit."""

    names: tuple[str, ...]
    problems: tuple[SearchProblem, ...]

    def __len__(self) -> int:
        return len(self.problems)

    def evaluate(self, plans: EncodedPlans) -> FloatArray:
        """(n_conditions, n_plans, 2) latency and bottleneck."""
        return np.stack([evaluate(problem, plans) for problem in self.problems])

    def worst(self, factors: FloatArray) -> SearchProblem:
        """The problem whose every time is the largest of the conditions' times by `factors` (n_conditions,)."""
        return self._merged(
            factors.max(),
            np.max(self._fixed * factors[:, None, None], axis=0),
            np.max(self._seconds_per_byte * factors[:, None, None], axis=0),
        )

    def weighted(self, factors: FloatArray) -> SearchProblem:
        """The problem whose every time is the sum of the conditions' times by `factors` (n_conditions,), all > 0.

        Its latencies are the sums of the conditions' latencies by the factors.
        """
        return self._merged(
            factors.sum(),
            np.tensordot(factors, self._fixed, axes=1),
            np.tensordot(factors, self._seconds_per_byte, axes=1),
        )

    def _merged(self, scale: float, fixed: FloatArray, seconds_per_byte: FloatArray) -> SearchProblem:
        first = self.problems[0]
        return replace(
            first,
            stage_seconds=first.allowed_seconds * scale,
            link_fixed_seconds=fixed,
            link_bytes_per_second=1.0 / seconds_per_byte,
            cost_model=None,
        )

    @cached_property
    def _fixed(self) -> FloatArray:
        return np.stack([problem.link_fixed_seconds for problem in self.problems])

    @cached_property
    def _seconds_per_byte(self) -> FloatArray:
        return np.stack([1.0 / problem.link_bytes_per_second for problem in self.problems])


def gather_conditions(problems: Mapping[str, SearchProblem]) -> Conditions:
    """The conditions of problems that differ in their links only.

    Raises:
        PlanError: There is none, or they differ in more than links.
    """
    if not problems:
        raise PlanError("A robust search wants at least one network condition, got none.")
    names = tuple(sorted(problems))
    first = problems[names[0]]
    for name in names[1:]:
        if not _is_alike(first, problems[name]):
            raise PlanError(
                f"Conditions {names[0]!r} and {name!r} differ in devices, units or constraints: want the same graph, "
                f"devices and wishes, and other links."
            )
    return Conditions(
        names=names,
        problems=tuple(
            with_links(first, problems[name].link_fixed_seconds, problems[name].link_bytes_per_second) for name in names
        ),
    )


def with_links(problem: SearchProblem, fixed_seconds: FloatArray, bytes_per_second: FloatArray) -> SearchProblem:
    """The same problem on other links, without a cost model; it shares the table of allowed stage times.

    Args:
        problem: What to split.
        fixed_seconds: (n_devices + 1, n_devices + 1) as `SearchProblem.link_fixed_seconds`.
        bytes_per_second: (n_devices + 1, n_devices + 1) as `SearchProblem.link_bytes_per_second`.
    """
    other = replace(problem, link_fixed_seconds=fixed_seconds, link_bytes_per_second=bytes_per_second, cost_model=None)
    # It depends on no link, is the largest of all tables, and would be made and kept once for each condition.
    vars(other)["allowed_seconds"] = problem.allowed_seconds
    return other


def condition_problems(
    nominal: SearchProblem, cluster: Cluster, conditions: Sequence[NetworkCondition]
) -> dict[str, SearchProblem]:
    """The problem under each condition by its name, after the nominal one as `PROBED`.

    Args:
        nominal: Made of `cluster`.
        cluster: With its links as probed.
        conditions: Names differ.

    Raises:
        PlanError: A condition does not fit the cluster, or two have one name.
    """
    problems = {PROBED: nominal}
    for condition in conditions:
        if condition.name in problems:
            raise PlanError(f"Two conditions are named {condition.name!r}: give each a name of its own.")
        problems[condition.name] = _under_links(nominal, apply_condition(cluster, condition).links)
    return problems


def _under_links(problem: SearchProblem, links: Sequence[Link]) -> SearchProblem:
    """The same problem with other figures for links that it has."""
    index_of = {name: index for index, name in enumerate((*problem.device_names, CLIENT))}
    fixed, rate = problem.link_fixed_seconds.copy(), problem.link_bytes_per_second.copy()
    for link in links:
        pair = index_of[link.source], index_of[link.target]
        fixed[pair], rate[pair] = link.fixed_seconds, link.bytes_per_second
    return with_links(problem, fixed, rate)


def _is_alike(one: SearchProblem, other: SearchProblem) -> bool:
    wishes = ("device_names", "max_stages", "pinned_first", "pinned_last")
    tables = (
        "boundary_bytes",
        "is_position_allowed",
        "device_memory_bytes",
        "stage_seconds",
        "stage_memory_bytes",
    )
    return all(getattr(one, name) == getattr(other, name) for name in wishes) and all(
        getattr(one, name) is getattr(other, name) or np.array_equal(getattr(one, name), getattr(other, name))
        for name in tables
    )
