"""What a sweep says, in sentences."""

import re
from collections.abc import Iterable, Mapping, Sequence

from coordinator.report import quantities
from coordinator.report.sweep.judging import OBJECTIVES, best_point, cover
from coordinator.report.sweep.series import ConditionSeries, PlanRegret, Recommendation, RegretTable, SweepSeries
from coordinator.sweep.words import contraction_sentences

CLOSE = 0.10
"""A plan whose worst regret is below this is as good as the best everywhere."""
SURE = 0.9
"""Front probability from which a plan is said to be on the front."""
WORTHWHILE = 0.8
"""Of the worst regret of one plan, below which a second plan is worth keeping."""
MOST_NAMED = 6


def recommendation(
    conditions: Sequence[ConditionSeries], regrets: Sequence[RegretTable], *, is_predicted: bool
) -> Recommendation:
    """What to run: one plan where it does well everywhere, else which plan when. Of conditions with figures alone."""
    counted = [one for one in conditions if all(one.name in table.conditions for table in regrets)]
    shared = _least_regret(regrets)
    if shared is None:
        return Recommendation(
            headline="Nothing can be recommended: no plan was measured under every condition.",
            reasons=tuple(_when(counted, objective) for objective in OBJECTIVES),
            plan="",
        )
    worst = _worst(regrets, shared)
    verb = "As predicted, run" if is_predicted else "Run"
    verb = f"Do not split. {verb}" if shared.startswith("whole model") else verb
    one = len(counted) == 1
    where = _where(counted, len(conditions))
    when = [_when(counted, objective) for objective in OBJECTIVES]
    alone = [sentence for table in regrets if (sentence := _minimax(table, shared))]
    if max(worst.values()) <= CLOSE:
        headline = f"{verb} {_worded(shared)}: {where} it is {_near(worst)}."
        reasons = [*when, *alone]
    elif one:
        headline = f"{verb} {_worded(shared)} {where}, {_regrets(worst)}."
        reasons = [*when, *alone]
    else:
        headline = f"{'As predicted, what' if is_predicted else 'What'} to run depends on the network."
        reasons = [*when, f"If one plan must do {where}: {_worded(shared)}, {_regrets(worst, 'at worst ')}.", *alone]
        reasons += [_ready(regrets, max(worst.values()))]
    if not is_predicted:
        told = [(one.name, one.contraction) for one in counted if one.contraction is not None]
        reasons += [*contraction_sentences(told), _firm(counted)]
    reasons.append(_left_out([one.name for one in conditions if one not in counted]))
    return Recommendation(headline=headline, reasons=tuple(filter(None, reasons)), plan=shared)


def count_sentence(series: SweepSeries) -> str:
    """How many runs there are and how they ended; nothing is left out of it."""
    runs = series.runs
    if not runs:
        return f"None of {series.n_planned:,} planned runs was measured."
    ends = {state: sum(run.state == state for run in runs) for state in ("done", "invalid", "failed")}
    n_planned_done = min(ends["done"], series.n_planned)
    n_missing, n_added = series.n_planned - n_planned_done, ends["done"] - n_planned_done
    parts = [f"{n_planned_done:,} of {series.n_planned:,} planned runs were measured"]
    if n_added:
        parts.append(f"{n_added:,} repeats were added because intervals were wide")
    if ends["invalid"]:
        parts.append(f"{ends['invalid']:,} attempts were invalid (the network condition was not in force)")
    if ends["failed"]:
        parts.append(f"{ends['failed']:,} attempts failed")
    text = "; ".join(parts) + "."
    if n_missing:
        text += f" {n_missing:,} planned runs have no figures."
    return text


def reason_counts(series: SweepSeries) -> tuple[tuple[str, int], ...]:
    """Why runs were invalid or failed, the most frequent first; those that differ in numbers only count as one."""
    found: dict[str, list[str]] = {}
    for run in series.runs:
        if run.state != "done":
            text = f"{run.state}: {run.reason or 'no reason was given'}"
            found.setdefault(re.sub(r"\d[\d.,e+-]*", "0", text), []).append(text)
    counted = [(texts[0] + (", and the like" if len(set(texts)) > 1 else ""), len(texts)) for texts in found.values()]
    return tuple(sorted(counted, key=lambda one: (-one[1], one[0])))


def listed(names: Iterable[str], most: int = MOST_NAMED) -> str:
    """`a, b and c`; of many the first and how many more there are."""
    found = list(names)
    if len(found) > most:
        found = [*found[: most - 1], f"{len(found) - most + 1} more"]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else "nothing"


def _least_regret(regrets: Sequence[RegretTable]) -> str | None:
    """The plan whose worst regret in any figure is least; of equals the first, which does not split."""
    if not regrets:
        return None
    known = [row.plan for row in regrets[0].plans if all(_row(table, row.plan).worst is not None for table in regrets)]
    return min(known, key=lambda plan: max(_worst(regrets, plan).values()), default=None)


def _row(table: RegretTable, plan: str) -> PlanRegret:
    return next(row for row in table.plans if row.plan == plan)


def _worst(regrets: Sequence[RegretTable], plan: str) -> dict[str, float]:
    """Of each objective in which it is known."""
    return {table.objective: worst for table in regrets if (worst := _row(table, plan).worst) is not None}


def _worded(plan: str) -> str:
    """`whole model on pi-1` as `the whole model on pi-1`."""
    return f"the {plan}" if plan.startswith("whole model") else plan


def _where(counted: Sequence[ConditionSeries], n_conditions: int) -> str:
    if len(counted) == 1:
        return f"under {counted[0].name}"
    which = "all" if len(counted) == n_conditions else f"{len(counted)} of"
    return f"under {which} {n_conditions} conditions"


def _left_out(names: Sequence[str]) -> str:
    return f"Not counted, because figures are missing: {listed(names)}." if names else ""


def _near(worst: Mapping[str, float]) -> str:
    figures = " and ".join(f"in {objective}" for objective in worst)
    if max(worst.values()) <= 0:
        return f"the best {figures}"
    return f"within {quantities.percent(max(worst.values()))} of the best plan {figures}"


def _regrets(worst: Mapping[str, float], how: str = "") -> str:
    """`with the least latency and at worst 12 % more time per sample than the best throughput`."""
    words = {
        "latency": ("the least latency", "above"),
        "throughput": ("the best throughput", "more time per sample than"),
    }
    return " and ".join(
        f"{how}{quantities.percent(value)} {words[objective][1]} {words[objective][0]}"
        if value > 0
        else f"with {words[objective][0]}"
        for objective, value in worst.items()
    )


def _when(conditions: Sequence[ConditionSeries], objective: str) -> str:
    """Which plan is best by one figure under which conditions."""
    found: dict[str, list[str]] = {}
    for condition in conditions:
        best = best_point(condition, objective)
        if best is not None:
            found.setdefault(best.plan, []).append(condition.name)
    if not found:
        return ""
    aim = "Least latency" if objective == "latency" else "Most throughput"
    if len(found) == 1 and len(conditions) > 1:
        return f"{aim}: {_worded(next(iter(found)))} under every condition."
    ordered = sorted(found.items(), key=lambda one: -len(one[1]))
    return f"{aim}: {'; '.join(f'{_worded(plan)} under {listed(names)}' for plan, names in ordered)}."


def _minimax(table: RegretTable, shared: str) -> str:
    if not table.minimax or table.minimax == shared or len(table.conditions) < 2:
        return ""
    worst = _row(table, table.minimax).worst
    return (
        f"For {table.objective} alone, {_worded(table.minimax)} has the least worst case: "
        f"{quantities.percent(worst)} from the best plan of each condition."
    )


def _ready(regrets: Sequence[RegretTable], alone: float) -> str:
    """What a second plan would bring."""
    found = cover(regrets, 2)
    if found is None or found[1] > alone * WORTHWHILE or len(found[0]) < 2:
        return ""
    names = " and ".join(map(_worded, found[0]))
    figures = " or ".join(table.objective for table in regrets)
    return f"With two plans at hand, {names}: at worst {quantities.percent(found[1])} from the best in {figures}."


def _firm(conditions: Sequence[ConditionSeries]) -> str:
    """How sure the fronts are."""
    front = [point for condition in conditions for point in condition.front]
    told = [point.front_probability for point in front if point.front_probability is not None]
    if not told:
        return ""
    sure = sum(probability >= SURE for probability in told)
    return (
        f"{sure} of the {len(told)} places on the fronts are sure (probability {SURE:g} or more that no other plan is "
        "better in both figures, given the noise)."
    )
