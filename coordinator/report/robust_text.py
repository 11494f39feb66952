"""What a robust search means for its user, in words."""

from coordinator.report import quantities
from partitioner.search.robust_result import RobustResult

NOMINAL_NAMES = ("least latency as probed", "most throughput as probed")
"""Of `RobustResult.nominal`."""
WORTHWHILE = 0.05
"""By how much of the best a worst regret must fall for a plan to be worth changing."""
AIMS, MEASURES = ("latency", "throughput"), ("latency", "bottleneck")


def advice_sentence(result: RobustResult) -> str:
    """What to deploy, in one sentence for each objective in which it makes a difference."""
    n_conditions = len(result.conditions)
    if result.criterion == "probability":
        share = quantities.percent(result.plans[0].front_share)
        return f"Deploy plan 0: no other plan is on the front more often, which it is under {share} of the conditions."
    parts = [part for objective in range(2) if (part := _advice(result, objective))]
    if not parts:
        return (
            f"Keep the plan for the network as probed: under {n_conditions} conditions no other one's worst case is "
            f"better by more than {quantities.percent(WORTHWHILE)}."
        )
    return f"If the network changes like this, deploy {'; '.join(parts)}."


def _advice(result: RobustResult, objective: int) -> str:
    worsts = [plan.worst_regret[objective] for plan in result.plans]
    number = worsts.index(min(worsts))
    before = result.nominal[objective].worst_regret[objective]
    if before - worsts[number] <= WORTHWHILE:
        return ""
    return (
        f"plan {number} for {AIMS[objective]}: at worst {quantities.percent(worsts[number])} above the least "
        f"{MEASURES[objective]} of the condition, where the plan of {NOMINAL_NAMES[objective]} is "
        f"{quantities.percent(before)} above it"
    )
