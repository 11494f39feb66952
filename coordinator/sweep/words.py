"""What a sweep says, in sentences: what to deploy where, and how sure that is."""

import math
from collections.abc import Mapping, Sequence

from coordinator.config.quantities import duration_text, rate_text
from coordinator.report.quantities import n_bytes, number
from coordinator.sweep.predicted import OBJECTIVES, Objective, PredictedPlan, PredictedSweep
from partitioner.decisions.candidates import PlanKind
from partitioner.decisions.contraction import Contraction
from partitioner.decisions.crossover import CLOSE_ENOUGH, RateRange, rate_ranges
from partitioner.decisions.pairs import LEVEL, PairedComparison
from partitioner.plan import Stage

MOST_RANGES = 4
"""Ranges of rates, or names, that one sentence tells."""
NOTHING = 0.0005
"""Regret below which nothing is lost."""


def recommendation(sweep: PredictedSweep) -> tuple[str, ...]:
    """What to deploy, for each objective over all conditions, then where links draw the front together."""
    return (
        *(_advice(sweep, objective) for objective in OBJECTIVES),
        *(sentence for objective in OBJECTIVES for sentence in rate_sentences(sweep, objective)),
        *contraction_sentences([(condition.name, condition.contraction) for condition in sweep.conditions]),
    )


def advice(kind: PlanKind, label: str, stages: Sequence[Stage]) -> str:
    """`Deploy split 12`, `Do not split: run the whole model on pi-1`, `Send the input to server`."""
    device = "+".join(stages[0].devices)
    match kind:
        case "stay":
            return f"do not split: run the whole model on {device}"
        case "send":
            return f"do not split: send the input to {device} and run the whole model there"
    return f"deploy {label}"


def _advice(sweep: PredictedSweep, objective: Objective) -> str:
    """The plan that suits all conditions best, and what it costs to know no more."""
    column = OBJECTIVES.index(objective)
    plan = sweep.plans[sweep.minimax[column]]
    n_possible = sum(bool(condition.plans) for condition in sweep.conditions)
    best = f"the best under {plan.n_best[column]} of {n_possible} conditions" if n_possible > 1 else "the best"
    if not math.isfinite(plan.worst_regret[column]):
        return f"For {objective} no single plan is possible under all conditions: choose by condition."
    lost = _miss(objective, plan.worst_regret[column])
    return f"For {objective}: {_advice_of(plan)}; it is {best}, and {lost}."


def rate_sentences(sweep: PredictedSweep, objective: Objective) -> tuple[str, ...]:
    """For each delay that was looked at under several rates, which plan is good at which rate; alike ones together."""
    rows: dict[float, list[tuple[float, int]]] = {}
    for index, condition in enumerate(sweep.conditions):
        delay, rate = condition.delay_seconds, condition.bytes_per_second
        if condition.plans and delay is not None and rate is not None:
            rows.setdefault(delay, []).append((rate, index))
    plans = {place: sweep.plans[index] for place, index in enumerate(sweep.candidates)}
    told: dict[str, list[float]] = {}
    for delay, places in sorted(rows.items()):
        ordered = sorted(dict(places).items())
        if len(ordered) < 2:
            continue
        costs = [_costs(sweep, objective, index) for _, index in ordered]
        ranges = rate_ranges([rate for rate, _ in ordered], costs)
        told.setdefault(ranges_text(ranges, plans), []).append(delay)
    return tuple(f"For {objective}{_where(delays, len(rows))}: {text}." for text, delays in told.items())


def _where(delays: Sequence[float], n_delays: int) -> str:
    if n_delays == 1:
        return ""
    if len(delays) == n_delays:
        return ", whatever the delay"
    ends = [duration_text(delay) for delay in (delays[0], delays[-1])]
    return f" at a delay of {ends[0]}" if len(delays) == 1 else f" at delays of {ends[0]} to {ends[1]}"


def _costs(sweep: PredictedSweep, objective: Objective, condition: int) -> list[float]:
    if objective == "latency":
        return list(sweep.latency_seconds[condition])
    return [1 / rate if rate > 0 else math.inf for rate in sweep.throughput_per_second[condition]]


def ranges_text(ranges: Sequence[RateRange], plans: Mapping[int, PredictedPlan]) -> str:
    """`below 8 Mbit/s do not split: run the whole model on pi-1; above 8 Mbit/s deploy split 12 (each within …)`."""
    parts = [f"{_range_text(one)} {_advice_of(plans[one.plan])}" for one in ranges[:MOST_RANGES]]
    if len(ranges) > MOST_RANGES:
        parts.append(f"above, {len(ranges) - MOST_RANGES} further changes")
    return f"{'; '.join(parts)} (each within {_percent(CLOSE_ENOUGH)} of the best)"


def _advice_of(plan: PredictedPlan) -> str:
    return advice(plan.kind, plan.label, plan.stages)


def _range_text(one: RateRange) -> str:
    match one.low > 0, math.isfinite(one.high):
        case False, False:
            return "at every rate looked at"
        case False, True:
            return f"below {rate_text(one.high)}"
        case True, True:
            return f"from {rate_text(one.low)} to {rate_text(one.high)}"
    return f"above {rate_text(one.low)}"


def contraction_sentences(conditions: Sequence[tuple[str, Contraction]]) -> tuple[str, ...]:
    """One sentence over all named conditions under which a link draws the front together; none where none does."""
    held = [(name, found) for name, found in conditions if found.holds]
    if not held:
        return ()
    if len(held) == 1:
        return (contraction_sentence(*held[0]),)
    most = max(found.n_no_larger for _, found in held)
    names = "; ".join(name for name, _ in held[:MOST_RANGES])
    more = f"; and {len(held) - MOST_RANGES} more" if len(held) > MOST_RANGES else ""
    n_splits = held[0][1].n_splits
    whose = "" if all(found.is_link_bound for _, found in held) else " of the splits, or of all that send more"
    return (
        f"Under {len(held)} of {len(conditions)} conditions ({names}{more}) a link is the bottleneck{whose}, and the "
        f"front contracts to the splits with the smallest boundaries: to {most} of {n_splits} split points or fewer.",
    )


def contraction_sentence(name: str, found: Contraction) -> str:
    """Of one condition; empty where the front has not contracted."""
    if not found.holds:
        return ""
    kept = "the split" if found.n_front == 1 else f"the {found.n_front} splits"
    small = (
        "the smallest boundary" if found.is_smallest else f"one of the {found.n_no_larger} smallest boundaries"
    ) + (f" of {found.n_splits} (up to {n_bytes(found.largest_bytes)})")
    whose = "" if found.is_link_bound else " of every split that sends more"
    return f"Under {name} a link is the bottleneck{whose}, and the front contracts to {kept} with {small}."


def comparison_sentence(first: str, second: str, what: str, found: PairedComparison) -> str:
    """How two things compare, and whether that may be chance.

    Args:
        first: What is compared with.
        second: What is compared.
        what: The figure: `latency`, `throughput`.
        found: The second over the first.
    """
    n = f"{found.n_pairs} pairs"
    if not found.can_be_significant:
        return (
            f"{second} has {_times(found.ratio)} the {what} of {first}, but {n} cannot tell that from chance "
            f"(p is {found.least_p_value:.2g} at least): repeat more often."
        )
    interval = f"95 % interval {found.low:.3g} to {found.high:.3g}, p = {_p(found.p_value)}, {n}"
    if not found.is_significant:
        return f"No difference in {what} between {first} and {second} is shown ({interval})."
    return (
        f"{second} has {_times(found.ratio)} the {what} of {first}: chance alone would hardly show that ({interval}; "
        f"significant at {_percent(LEVEL)})."
    )


def outlier_sentence(n_flagged: int, n_samples: int) -> str:
    """Empty where there are none."""
    if not n_flagged:
        return ""
    return f"{n_flagged} of {n_samples} samples are far from the others; they are marked, and count in every figure."


def _times(ratio: float) -> str:
    return f"{number(ratio)} times"


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _miss(objective: Objective, regret: float) -> str:
    """By how much a plan misses the best, where it is worst."""
    if regret < NOTHING:
        return "nothing is lost by it anywhere"
    if objective == "latency":
        more = f"{_percent(regret)} above" if regret < 1 else f"{number(regret + 1)} times"
        return f"at worst its latency is {more} the best of a condition"
    return f"at worst its throughput is {_percent(1 - 1 / (1 + regret))} below the best of a condition"
