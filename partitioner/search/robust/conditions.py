"""One search problem under many conditions of its links; the conditions share the tables of stage times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partitioner.cluster import Cluster
from partitioner.errors import PlanError
from partitioner.front import FloatArray
from partitioner.search.building import link_arrays
from partitioner.search.encoding import EncodedPlans, evaluate
from partitioner.search.problem import MEMORY, SearchProblem
from partitioner.search.robust.network import PROBED, NetworkCondition, apply_condition

LINKS = ("link_fixed_seconds", "link_bytes_per_second", "link_busy_bytes_per_second")
"""What differs from condition to condition; the arguments of `SearchProblem.with_links`."""


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
            np.max(self._busy_seconds_per_byte * factors[:, None, None], axis=0),
        )

    def weighted(self, factors: FloatArray) -> SearchProblem:
        """The problem whose every time is the sum of the conditions' times by `factors` (n_conditions,), all > 0.

        Its latencies are the sums of the conditions' latencies by the factors.
        """
        return self._merged(
            factors.sum(),
            np.tensordot(factors, self._fixed, axes=1),
            np.tensordot(factors, self._seconds_per_byte, axes=1),
            np.tensordot(factors, self._busy_seconds_per_byte, axes=1),
        )

    def _merged(
        self, scale: float, fixed: FloatArray, seconds_per_byte: FloatArray, busy_seconds_per_byte: FloatArray
    ) -> SearchProblem:
        first, busy = self.problems[0], self.problems[0].stage_busy_seconds
        is_same = all(problem.link_busy_bytes_per_second is None for problem in self.problems)
        return replace(
            first,
            stage_seconds=first.allowed_seconds * scale,
            stage_busy_seconds=None if busy is None else busy * scale,
            link_fixed_seconds=fixed,
            link_bytes_per_second=1.0 / seconds_per_byte,
            link_busy_bytes_per_second=None if is_same else 1.0 / busy_seconds_per_byte,
            cost_model=None,
        )

    @cached_property
    def _fixed(self) -> FloatArray:
        return np.stack([problem.link_fixed_seconds for problem in self.problems])

    @cached_property
    def _seconds_per_byte(self) -> FloatArray:
        return np.stack([1.0 / problem.link_bytes_per_second for problem in self.problems])

    @cached_property
    def _busy_seconds_per_byte(self) -> FloatArray:
        rates = [(problem.link_busy_bytes_per_second, problem.link_bytes_per_second) for problem in self.problems]
        return np.stack([1.0 / (rate if busy is None else busy) for busy, rate in rates])


def gather_conditions(problems: Mapping[str, SearchProblem]) -> Conditions:
    """The conditions of problems that differ in their links only.

    Raises:
        PlanError: There is none, they differ in more than links, media or processors are shared, or more than memory is
            bounded.
    """
    if not problems:
        raise PlanError("A robust search wants at least one network condition, got none.")
    names = tuple(sorted(problems))
    first = problems[names[0]]
    if first.shares_resources:
        raise PlanError(
            f"A robust search counts each device and link by itself, but in this cluster {_what_is_shared(first)}, or "
            "search the front of one condition."
        )
    unkept = [name for name in first.bounds if name != MEMORY]
    if unkept:
        raise PlanError(
            f"A robust search weighs conditions against one another, so that bounds on {', '.join(unkept)} cannot be "
            f"kept in it: bound {MEMORY} alone, or search the front of one condition."
        )
    for name in names[1:]:
        if not _is_alike(first, problems[name]):
            raise PlanError(
                f"Conditions {names[0]!r} and {name!r} differ in devices, units or constraints: want the same graph, "
                f"devices and wishes, and other links."
            )
    return Conditions(
        names=names,
        problems=tuple(first.with_links(*(getattr(problems[name], link) for link in LINKS)) for name in names),
    )


def _what_is_shared(problem: SearchProblem) -> str:
    found = ["links share media: take the media out of its description"] if problem.link_media is not None else []
    if problem.processor_weights is not None:
        found.append("devices share cores: give each of them cores of its own, or fewer threads")
    return "; ".join(found)


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
        links = link_arrays(apply_condition(cluster, condition), nominal.device_names)
        problems[condition.name] = nominal.with_links(*links)
    return problems


def _is_alike(one: SearchProblem, other: SearchProblem) -> bool:
    parts = other.parts(without=LINKS)
    return all(_is_same(value, parts[name]) for name, value in one.parts(without=LINKS).items())


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one is other or np.array_equal(one, other)
    return type(one) is type(other) and one == other
