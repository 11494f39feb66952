"""The front of two to six objectives, exactly or within a proven share: labels."""

from partitioner.search.labels_archive import LabelArchive
from partitioner.search.labels_costs import label_problem
from partitioner.search.labels_sweep import sweep
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem


def label_front(problem: SearchProblem, effort: Effort) -> EngineOutcome:
    """The front."""
    began = effort.clock()
    labels = label_problem(problem, effort.accuracy)
    archive = LabelArchive(labels)
    is_complete = True
    for share in sweep(labels, archive):
        effort.on_progress(share, f"{len(archive)} plans")
        if effort.budget_seconds is not None and effort.clock() - began >= effort.budget_seconds:
            is_complete = False
            break
    return EngineOutcome(
        plans=archive.front(), n_evaluated=archive.n_evaluated, is_exact=is_complete and not effort.accuracy,
        statement="", gap=effort.accuracy if is_complete else None,
    )
