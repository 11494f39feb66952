"""Tables of what was predicted of a model over all conditions."""

import math

from coordinator.report import quantities
from coordinator.report.html_table import Cell, Column, Table, figure, words
from coordinator.sweep.predicted import OBJECTIVES, PredictedCover, PredictedPlan, PredictedSweep

_JUDGED = {"worst": "worst condition", "mean": "mean over conditions"}


def forecast_tables(found: PredictedSweep) -> dict[str, Table]:
    """By name of their files: the plans over all conditions, and which few plans to keep ready."""
    return {"plans": _plans_table(found), "covers": _covers_table(found)}


def _plans_table(found: PredictedSweep) -> Table:
    heads = ("on fronts", "least latency", "most throughput")
    regrets = [f"{how} regret, {objective}" for objective in OBJECTIVES for how in ("worst", "mean")]
    return Table(
        caption=(
            f"Plans over all {len(found.conditions):,} conditions: under how many each is on the front and the best, "
            f"and what it costs to keep it, against the best of {found.n_judged:,} plans. The marked ones have the "
            "least worst regret."
        ),
        columns=(Column(head="plan"), *(Column(head=head, is_number=True) for head in (*heads, *regrets))),
        rows=tuple(_plan_row(plan) for plan in found.plans),
        marked=frozenset(found.minimax),
    )


def _plan_row(plan: PredictedPlan) -> tuple[Cell, ...]:
    counts = (plan.n_fronts, *plan.n_best)
    regrets = [value for pair in zip(plan.worst_regret, plan.mean_regret, strict=True) for value in pair]
    return (
        words(plan.label),
        *(Cell(text=f"{n:,}", raw=(str(n),)) for n in counts),
        *(_regret_cell(value) for value in regrets),
    )


def _covers_table(found: PredictedSweep) -> Table:
    heads = ("regret", "least possible")
    return Table(
        caption="Which few plans to keep ready, the best of which is run under each condition, and what that costs.",
        columns=(
            *(Column(head=head) for head in ("figure", "judged by", "plans")),
            *(Column(head=head, is_number=True) for head in heads),
        ),
        rows=tuple(_cover_row(found, cover) for cover in found.covers),
    )


def _cover_row(found: PredictedSweep, cover: PredictedCover) -> tuple[Cell, ...]:
    return (
        words(cover.objective),
        words(_JUDGED[cover.criterion]),
        words(", ".join(found.plans[plan].label for plan in cover.plans)),
        _regret_cell(cover.regret),
        _regret_cell(cover.bound),
    )


def _regret_cell(value: float) -> Cell:
    if not math.isfinite(value):
        return Cell(text="not possible", raw=("inf",))
    return figure(value, quantities.percent)
