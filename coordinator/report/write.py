"""Writes pictures: those of a run into its folder, that of a network or of a front of many objectives elsewhere."""

import json
from collections.abc import Sequence
from pathlib import Path

from coordinator.measurement import Span
from coordinator.report.objective_space import ObjectiveSpace, objective_space, objective_words
from coordinator.report.objectives_figure import objective_figures
from coordinator.report.order_figure import order_figure
from coordinator.report.order_points import order_points, order_title
from coordinator.report.profile_figure import unit_figure
from coordinator.report.run import Run
from coordinator.report.span_figure import span_figure
from coordinator.report.trace import trace_document
from partitioner.graph import Graph
from partitioner.profile import Profile
from partitioner.search.result import SearchResult

ORDER_SUFFIXES = (".html", ".png", ".svg")
"""Formats of a network's picture."""


def write_report(folder: Path, run: Run) -> tuple[Path, ...]:
    """Writes `report.html` and `figures/` into `folder`, made where it is missing, and returns the files.

    Equal runs give equal files, but for what another version of a drawing library changes.

    Raises:
        OSError: A file cannot be written.
    """
    # They are slow to import, and only here are they needed.
    from coordinator.report import figures, page, prediction_drawing  # noqa: PLC0415

    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    report = folder / "report.html"
    report.write_text(page.render_page(run), encoding="utf-8", newline="\n")
    drawn = [
        report,
        figures.draw_front(run, drawings / "front.png"),
        figures.draw_front(run, drawings / "front.svg"),
        figures.draw_profile(run, drawings / "profile.png"),
    ]
    for suffix in (".png", ".svg"):
        path = (drawings / "prediction").with_suffix(suffix)
        if run.measurement is None:
            path.unlink(missing_ok=True)
        else:
            drawn.append(prediction_drawing.draw_prediction(run.measurement, path))
    return tuple(drawn)


def write_trace(title: str, spans: Sequence[Span], path: Path) -> Path:
    """Writes requests for ui.perfetto.dev; see `trace`. Returns `path`.

    Raises:
        OSError: The file cannot be written.
    """
    path.write_text(json.dumps(trace_document(title, spans), ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def write_order(graph: Graph, path: Path) -> Path:
    """Draws a network along its order: interactive where `path` ends in `.html`, else PNG or SVG. Returns `path`.

    Raises:
        OSError: The file cannot be written.
    """
    from coordinator.report import figures, page  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".html":
        return figures.draw_order(graph, path)
    title = order_title(graph, order_points(graph))
    path.write_text(page.render_figures(title, (order_figure(graph),)), encoding="utf-8", newline="\n")
    return path


def write_times(graph: Graph, profile: Profile, folder: Path) -> tuple[Path, ...]:
    """Draws a profile alone, for paper and to explore, into `folder`, made where it is missing. Returns the files.

    Raises:
        OSError: A file cannot be written.
    """
    from coordinator.report import page, profile_drawing  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    explored = folder / "times.html"
    drawn = (unit_figure(graph, profile, None), span_figure(profile))
    explored.write_text(page.render_figures(f"Profile of {graph.name}", drawn), encoding="utf-8", newline="\n")
    return (
        profile_drawing.draw_times(graph, profile, folder / "times.png"),
        profile_drawing.draw_times(graph, profile, folder / "times.svg"),
        explored,
    )


def draw_objectives(folder: Path, result: SearchResult) -> Path | None:
    """Draws a front of three or more objectives in a run's folder; removes an earlier picture where there are two.

    Raises:
        OSError: The file cannot be written.
    """
    path = folder / "figures" / "objectives.html"
    if len(result.objectives) < 3:
        path.unlink(missing_ok=True)
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_objectives(objective_space(result), "Front of " + ", ".join(objective_words(result)), path)


def write_objectives(space: ObjectiveSpace, title: str, path: Path) -> Path:
    """Writes a page with all pictures of a front of three or more objectives. Returns `path`.

    Raises:
        OSError: The file cannot be written.
    """
    from coordinator.report import page  # noqa: PLC0415

    path.write_text(page.render_figures(title, objective_figures(space)), encoding="utf-8", newline="\n")
    return path
