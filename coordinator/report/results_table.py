"""Tables of a result store for the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import printable, shorten
from coordinator.report.table_style import ShrinkingName, plain_table
from coordinator.results.summary import CaseSummary, SweepSummary


def sweeps_table(store: str, sweeps: Sequence[SweepSummary]) -> Table:
    """Every sweep of a store and how far it has come."""
    table = plain_table(f"Sweeps in {printable(store)}")
    table.add_column("sweep", overflow="fold")
    table.add_column("begun", no_wrap=True)
    for heading in ("cases", "planned", "done", "invalid", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for sweep in sweeps:
        numbers = (len(sweep.cases), sweep.n_planned, sweep.n_done, sweep.n_invalid, sweep.n_failed)
        table.add_row(
            Text(printable(sweep.name)), Text(printable(sweep.created_at[:16])), *(Text(f"{n:,}") for n in numbers)
        )
    return table


def cases_table(sweep: SweepSummary) -> Table:
    """Every case of a sweep; columns in which all are alike go to the caption."""
    table = plain_table(f"Sweep {printable(sweep.name)}: {sweep.n_done:,} of {sweep.n_planned:,} runs done")
    shown = {"model": "model", "cluster": "cluster", "condition": "condition", "data_plane": "plane", "codec": "codec"}
    alike = {name for name in shown if len({getattr(case, name) for case in sweep.cases}) == 1}
    table.add_column("plan", overflow="fold")
    for name, heading in shown.items():
        if name not in alike:
            table.add_column(heading)
    for heading in ("batch", "done", "invalid", "failed", "latency", "throughput"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("case", no_wrap=True)
    for case in sweep.cases:
        words = [ShrinkingName(getattr(case, name)) for name in shown if name not in alike]
        table.add_row(Text(printable(case.plan_label)), *words, *_figures(case), Text(case.key[:8], style="dim"))
    same = [f"{shown[name]} {shorten(getattr(sweep.cases[0], name))}" for name in shown if name in alike]
    table.caption = Text("; ".join(["Medians of done runs", *(["of " + ", ".join(same)] if same else [])]) + ".")
    return table


def _figures(case: CaseSummary) -> tuple[Text, ...]:
    numbers = (case.batch, case.n_done, case.n_invalid, case.n_failed)
    return (
        *(Text(f"{number:,}") for number in numbers),
        Text(quantities.seconds(case.latency_seconds)),
        Text(quantities.rate(case.throughput_per_second)),
    )
