"""The table of plans that suit many network conditions."""

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import printable
from coordinator.report.robust_text import NOMINAL_NAMES
from coordinator.report.table_style import plain_table
from coordinator.report.text import describe_plan
from partitioner.graph import Graph
from partitioner.plan import Candidate
from partitioner.search.robust_result import Regret, RobustPlan, RobustResult


def robust_table(result: RobustResult, graph: Graph, chosen: Candidate | None = None) -> Table:
    """Every plan with its regrets, those that are best as probed beneath, and what no plan can beat."""
    table = plain_table(f"Plans of {printable(graph.name)} for {len(result.conditions)} network conditions")
    table.add_column("#", justify="right", no_wrap=True)
    for head in (
        "latency\nas probed",
        "throughput\nas probed",
        "worst regret\nlat.  bottl.",
        "mean regret\nlat.  bottl.",
    ):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("on the\nfront", justify="right", no_wrap=True)
    table.add_column("stages", overflow="fold")
    for number, plan in enumerate(result.plans):
        is_chosen = chosen is not None and plan.candidate.plan.stages == chosen.plan.stages
        table.add_row(f"{'★ ' if is_chosen else ''}{number}", *_figures(plan), style="bold" if is_chosen else "")
    table.add_section()
    for name, plan in zip(NOMINAL_NAMES, result.nominal, strict=True):
        *figures, stages = _figures(plan)
        table.add_row("", *figures, Text.assemble((f"{name}:\n", "dim"), stages))
    bounds = _pair(result.least_worst_regret), _pair(result.least_mean_regret)
    table.add_row("", "", "", *bounds, "", Text("no plan has less", style="dim"), style="dim")
    table.caption = Text(f"Regret: how far above the best plan of the very condition. {printable(result.statement)}")
    return table


def _figures(plan: RobustPlan) -> tuple[Text, ...]:
    cost = plan.candidate.cost
    return (
        Text(quantities.seconds(cost.latency_seconds)),
        Text(quantities.rate(cost.throughput_per_second)),
        _pair(plan.worst_regret),
        _pair(plan.mean_regret),
        Text(quantities.percent(plan.front_share)),
        Text(describe_plan(plan.candidate.plan).replace(" → ", " →\n")),
    )


def _pair(regret: Regret) -> Text:
    return Text("  ".join(f"{quantities.percent(part):>6}" for part in regret))
