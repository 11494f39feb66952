"""The page of a run: one HTML file with everything in it."""

import html
import shlex
from collections.abc import Sequence

from coordinator.report import html_table, page_tables
from coordinator.report.busy_figure import busy_figure
from coordinator.report.document import definitions, figure_element, inline_json, page, plot_of, section
from coordinator.report.events_figure import events_figure
from coordinator.report.figure import Figure
from coordinator.report.front_figure import front_figure
from coordinator.report.key_figures import key_figures
from coordinator.report.names import printable
from coordinator.report.pipeline_strip import pipeline_strip
from coordinator.report.prediction_figure import prediction_figure
from coordinator.report.prediction_table import prediction_page_table
from coordinator.report.prediction_text import warning_sentences
from coordinator.report.profile_figure import profile_figure
from coordinator.report.residual_figure import residual_figure
from coordinator.report.run import Run
from coordinator.report.text import (
    comparison_sentences,
    correctness_sentence,
    emulation_sentence,
    headline,
    prediction_sentence,
    search_sentence,
)
from coordinator.report.timeline_figure import timeline_figure

SCRIPTS = ("plots.js", "page.js")


def render_page(run: Run) -> str:
    """The whole page. Equal runs give equal bytes; it loads nothing, and its policy forbids that it could."""
    figures = _figures(run)
    return page(
        "page.html",
        title=run.title,
        scripts=SCRIPTS,
        badges=_badges(run),
        headline=html.escape(headline(run)),
        lead="".join(f"<p>{html.escape(sentence)}</p>" for sentence in _lead(run)),
        warnings=_warnings(run),
        key_figures=_key_figures(run),
        pipeline=pipeline_strip(run),
        search=html.escape(search_sentence(run)),
        figures_data=inline_json({figure.name: plot_of(figure) for figure in figures}),
        **_sections(run, {figure.name: figure for figure in figures}),
    )


def render_figures(title: str, figures: Sequence[Figure]) -> str:
    """A page of figures alone, under the same rules."""
    return page(
        "figures.html",
        title=title,
        scripts=SCRIPTS,
        figures="\n".join(figure_element(figure) for figure in figures),
        figures_data=inline_json({figure.name: plot_of(figure) for figure in figures}),
    )


def _figures(run: Run) -> tuple[Figure, ...]:
    if run.measurement is None:
        return (front_figure(run), busy_figure(run), profile_figure(run))
    timeline, events = timeline_figure(run.measurement), events_figure(run.measurement.events)
    return (
        front_figure(run),
        prediction_figure(run.measurement),
        residual_figure(run.measurement),
        *((timeline,) if timeline else ()),
        *((events,) if events else ()),
        busy_figure(run),
        profile_figure(run),
    )


def _sections(run: Run, figures: dict[str, Figure]) -> dict[str, str]:
    timeline, events = figures.get("timeline"), figures.get("events")
    measured = run.measurement is not None
    return {
        "front": figure_element(figures["front"]),
        "prediction": _prediction(run, figures) if measured else "",
        "timeline": section("timeline", "Time-line", figure_element(timeline)) if timeline else "",
        "events": section("events", "What happened while it served", figure_element(events)) if events else "",
        "busy": figure_element(figures["busy"]),
        "profile": figure_element(figures["profile"]),
        "profile_title": "Layer profile" if run.profile else "What crosses between units",
        "measured_table": html_table.to_html(page_tables.measured_table(run)) if measured else "",
        "stage_table": html_table.to_html(page_tables.stage_table(run)),
        "front_table": html_table.to_html(page_tables.front_table(run)),
        "link_table": html_table.to_html(page_tables.link_table(run)) if run.cluster.links else "",
        "emulation": definitions(_by_words(run.emulation), "Nothing was emulated."),
        "environment": definitions(
            run.measurement.environment if run.measurement else {}, "This plan was not measured."
        ),
        "command": html.escape(printable(shlex.join(run.command))),
        "digest": html.escape(printable(run.graph.model_sha256)),
    }


def _lead(run: Run) -> tuple[str, ...]:
    if run.measurement is None:
        return (
            *comparison_sentences(run),
            "All figures are predictions of the cost model; this plan was not measured: splitfront bench does that.",
        )
    measured = run.measurement
    return (*comparison_sentences(run), prediction_sentence(measured), correctness_sentence(measured))


def _prediction(run: Run, figures: dict[str, Figure]) -> str:
    if run.measurement is None:
        return ""
    table = html_table.to_html(prediction_page_table(run.measurement))
    parts = [
        figure_element(figures["prediction"]),
        "<h3>Stage by stage</h3>",
        figure_element(figures["residuals"]),
        table,
    ]
    return section("prediction", "Predicted and measured", "\n".join(parts))


def _warnings(run: Run) -> str:
    """What speaks against trusting the figures, before any of them is read."""
    sentences = warning_sentences(run.measurement) if run.measurement else ()
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="doubts" role="note"><h2>Mind before you trust these figures</h2><ul>{items}</ul></div>'


def _badges(run: Run) -> str:
    badges = [("badge warn", emulation_sentence(run.emulation))] if run.emulation else []
    if run.measurement is None:
        badges.append(("badge", "predicted only"))
    elif run.measurement.n_errors:
        badges.append(("badge warn", f"{run.measurement.n_errors:,} requests failed"))
    return "".join(f'<span class="{style}">{html.escape(text)}</span>' for style, text in badges)


def _key_figures(run: Run) -> str:
    return "".join(
        f"<div><dt>{html.escape(one.name)}</dt><dd>{html.escape(one.value)}<small>{html.escape(one.note)}</small></dd></div>"
        for one in key_figures(run)
    )


def _by_words(emulation: dict[str, str]) -> dict[str, str]:
    """The same with one entry for all that were emulated alike."""
    names: dict[str, list[str]] = {}
    for name, words in emulation.items():
        names.setdefault(words, []).append(name)
    return {", ".join(alike): words for words, alike in names.items()}
