"""The spread: how far each run was from the figure of its case."""

from dataclasses import dataclass

from coordinator.report import palette
from coordinator.report.figure import Figure, Json, axis, lane_axis, legend_above
from coordinator.report.names import plot_text
from coordinator.report.sweep.hover import run_hover
from coordinator.report.sweep.judging import figure_of
from coordinator.report.sweep.panels import Grid
from coordinator.report.sweep.series import PlanPoint, RunPoint, SettingSeries
from coordinator.report.sweep.styles import evenly

LEAST_LIMIT = 0.03
"""Share of the figure that a panel shows on each side, at least."""
ROOM = 1.25
_INTERVAL_LINE: Json = {"color": palette.faded(palette.GREY, 0.6), "width": 7}
_KINDS: dict[str, tuple[str, Json]] = {
    "done": ("run", {"symbol": "circle", "size": 6, "color": palette.BLUE, "opacity": 0.75, "line": {"width": 0}}),
    "invalid": ("invalid run", {"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": palette.RED}}),
    "failed": ("failed run", {"symbol": "cross-thin", "size": 9, "line": {"width": 2, "color": palette.PURPLE}}),
}
"""By state: name and marker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadMark:
    """One run, or one interval, beside the figure of its case."""

    point: PlanPoint
    run: RunPoint
    deviation: float | None
    """Run over case, less 1; None where the run, or the case, has no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """All runs of a setting by one figure."""

    objective: str
    marks: tuple[SpreadMark, ...]
    limit: float
    """How far a panel reaches to each side; what lies beyond is drawn at its edge."""

    def place(self, mark: SpreadMark) -> float:
        """Where a mark is drawn, in percent; runs without a figure stand at the left edge."""
        if mark.deviation is None:
            return -self.limit * 100
        return max(-self.limit, min(self.limit, mark.deviation)) * 100


def spread(setting: SettingSeries, objective: str) -> Spread:
    """Deviations of all runs."""
    marks = tuple(
        SpreadMark(point=point, run=run, deviation=_deviation(point, run, objective))
        for point in setting.points
        for run in point.runs
    )
    counting = [abs(mark.deviation) for mark in marks if mark.run.state == "done" and mark.deviation is not None]
    ends = [
        abs(end / figure.value - 1)
        for point in setting.points
        if (figure := figure_of(point, objective)) is not None and figure.value > 0
        for end in (figure.low, figure.high)
    ]
    widest = max([*counting, *sorted(ends)[: max(1, len(ends) * 9 // 10)]], default=0.0)
    return Spread(objective=objective, marks=marks, limit=max(LEAST_LIMIT, widest * ROOM))


def spread_figure(setting: SettingSeries, objective: str) -> Figure:
    """One panel for each condition, a row for each plan."""
    found = spread(setting, objective)
    conditions = evenly(setting.conditions)
    row_height = 17
    grid = Grid(
        n_panels=len(conditions),
        n_columns=min(len(conditions), 6),
        panel_height=row_height * len(setting.plans) + 20,
        gap_height=26,
    )
    traces = [
        {**trace, **grid.axes(panel), "showlegend": False}
        for panel, condition in enumerate(conditions)
        for trace in _panel(setting, found, condition.name)
    ]
    axes: dict[str, object] = {}
    for panel in range(len(conditions)):
        number = str(panel + 1) if panel else ""
        axes[f"xaxis{number}"] = axis(
            "from the case (%)" if panel + grid.n_columns >= grid.n_panels else "",
            domain=grid.across(panel),
            anchor=f"y{number}",
            range=[-found.limit * 105, found.limit * 105],
            nticks=5,
        )
        axes[f"yaxis{number}"] = {
            **lane_axis([plot_text(plan, 26) for plan in setting.plans]),
            "domain": grid.upright(panel),
            "anchor": f"x{number}",
            "showticklabels": panel % grid.n_columns == 0,
            "tickfont": {"size": 11},
        }
    return Figure(
        name=f"spread-{objective}",
        caption=(
            f"{objective.capitalize()}: each dot is a run, as far from the figure of its case as it was; grey bars are "
            "95 % intervals. Crosses are runs that do not count: invalid where they were measured, at the left edge "
            "where they failed. What lies beyond a panel is drawn at its edge."
        ),
        traces=(*traces, *_legend(setting)),
        layout={
            **axes,
            "annotations": grid.titles([(plot_text(one.name, 20), "") for one in conditions]),
            "legend": {**legend_above(), "y": 1 + 6 / grid.height},
            "hovermode": "closest",
            "margin": {"l": 60, "r": 12, "t": 44, "b": 46},
        },
        height=grid.height + 90,
    )


def _deviation(point: PlanPoint, run: RunPoint, objective: str) -> float | None:
    figure = figure_of(point, objective)
    own = run.latency_seconds if objective == "latency" else run.throughput_per_second
    return None if figure is None or own is None or figure.value <= 0 else own / figure.value - 1


def _panel(setting: SettingSeries, found: Spread, condition: str) -> list[Json]:
    marks = [mark for mark in found.marks if mark.point.condition == condition]
    whole = [point for point in setting.points if point.condition == condition]
    return [
        _intervals(found, whole),
        *(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [found.place(mark) for mark in marks if mark.run.state == state],
                "y": [plot_text(mark.point.plan, 26) for mark in marks if mark.run.state == state],
                "marker": marker,
                "customdata": [mark.point.case_key for mark in marks if mark.run.state == state],
                "hovertext": [run_hover(mark.point, mark.run) for mark in marks if mark.run.state == state],
                "hoverinfo": "text",
                "cliponaxis": False,
            }
            for state, (_, marker) in _KINDS.items()
        ),
    ]


def _legend(setting: SettingSeries) -> list[Json]:
    """Entries that belong to no panel; states that no run has are left out."""
    states = {run.state for point in setting.points for run in point.runs}
    place = {"type": "scatter", "x": [None], "y": [None], "hoverinfo": "skip"}
    return [
        {**place, "name": "95 % interval", "mode": "lines", "line": _INTERVAL_LINE},
        *(
            {**place, "name": name, "mode": "markers", "marker": marker}
            for state, (name, marker) in _KINDS.items()
            if state in states
        ),
    ]


def _intervals(found: Spread, points: list[PlanPoint]) -> Json:
    places: list[float | None] = []
    lanes: list[str | None] = []
    for point in points:
        figure = figure_of(point, found.objective)
        if figure is not None and figure.value > 0:
            ends = [
                max(-found.limit, min(found.limit, end / figure.value - 1)) * 100 for end in (figure.low, figure.high)
            ]
            places += [*ends, None]
            lanes += [plot_text(point.plan, 26)] * 2 + [None]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": places,
        "y": lanes,
        "line": _INTERVAL_LINE,
        "hoverinfo": "skip",
    }
