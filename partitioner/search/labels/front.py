"""The front of two to six objectives, exactly or within a proven share, by labels.

Labels are partial plans, extended stage by stage; a state is (devices used, last of them, position). Each label carries
the objectives so far and other sums that are bounded. One is dropped where

- another of the same state is at least as good in all;
- no completion keeps the bounds; or
- every completion is covered by a plan already found. *Guides* tell the least rest of each sum, of mixtures of sums,
  and of sums under caps on a peak; the known plans leave *gaps*, and a label lives as long as all its guides permit a
  plan in one of them.

One peak (the memory, or else the bottleneck) is swept from its least to its largest value, box by box: in a box guides
know that it stays below a cap, and plans of earlier boxes are no worse in it, so that gaps have one figure less. A box
is narrowed until its labels are few.

With an accuracy ε > 0, for every plan there is one on the front that exceeds it by no more than the factor 1 + ε in any
objective. Peaks are rounded up to a grid of a ratio below 1 + ε before anything else: rounding keeps order and commutes
with the maximum, so nothing compounds, and what is exact on the grid is within 1 + ε. For sums, each label knows what
is *spent*: the largest factor by which a dropped plan that it stands for may be better. When a label stands for another
of its state that is better by a share of that one's least whole sum, both factors are multiplied; they never exceed
√(1 + ε). A label is covered by a plan that is within (1 + ε) / spent of all that it can still reach. So the product of
what happens to a plan on its way stays within 1 + ε, however many stages it has. Bounds are kept exactly: no label
stands for one that is better in a bounded sum. Of a state nothing is extended before all that leads to it is there.

Sums are made in the order in which `evaluate` makes them, and rounding keeps order, so that with accuracy 0 even the
last bit is that of an enumeration.

Sources: Martins, "On a multicriteria shortest path problem", European Journal of Operational Research 16, 1984;
Warburton, "Approximation of Pareto optima in multiple-objective, shortest-path problems", Operations Research 35, 1987;
Klamroth, Lacour and Vanderpooten, "On the representation of the search region in multi-objective optimization",
European Journal of Operational Research 245, 2015.
"""

from math import inf

from partitioner.errors import PlanError
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem


def label_front(problem: SearchProblem, effort: Effort) -> EngineOutcome:
    """The front, within `effort.accuracy`; the plans found until then where the budget ends before.

    Raises:
        PlanError: The problem has too many states, its labels have no room, or the accuracy is negative.
    """
    from partitioner.search.labels.archive import LabelArchive  # noqa: PLC0415  numba loads slowly, and only here
    from partitioner.search.labels.costs import label_problem  # noqa: PLC0415
    from partitioner.search.labels.sweep import Sweep  # noqa: PLC0415

    if not 0 <= effort.accuracy < inf:
        raise PlanError(f"Accuracy {effort.accuracy} of engine 'labels': wanted 0 or more, such as 0.001.")
    began = effort.clock()
    labels = label_problem(problem, effort.accuracy)
    archive = LabelArchive(labels)
    parts = Sweep(labels, archive).run()
    is_complete = False
    while not is_complete and (effort.budget_seconds is None or effort.clock() - began < effort.budget_seconds):
        share = next(parts, None)
        is_complete = share is None
        effort.on_progress(1.0 if share is None else share, f"{len(archive):,} plans found")
    plans = archive.front()
    return EngineOutcome(
        plans=plans,
        n_evaluated=archive.n_evaluated,
        is_exact=is_complete and not effort.accuracy,
        statement=_statement(problem, effort.accuracy, is_complete, len(plans)),
        gap=effort.accuracy if is_complete else None,
    )


def _statement(problem: SearchProblem, accuracy: float, is_complete: bool, n_plans: int) -> str:
    if not is_complete:
        return f"Incomplete: the budget ended after {n_plans:,} plans; how far they are from the front is unknown."
    where = (
        f"labels over all subsets and orders of {problem.describe_choices()}, in {len(problem.objectives)} objectives"
    )
    if not accuracy:
        return f"Exact under the cost model: {where}, left no plan that another does not match."
    return (
        f"Within {accuracy:.3g} under the cost model: {where}, proved that for every plan there is one on the front "
        f"that exceeds it by no more than this share in any of them."
    )
