"""The page: one HTML file with everything in it. The only door to plotly."""

import base64
import hashlib
import html
import json
import shlex
from collections.abc import Sequence
from importlib import resources
from string import Template

from coordinator.report import html_table, page_tables
from coordinator.report.busy_figure import busy_figure
from coordinator.report.events_figure import events_figure
from coordinator.report.figure import Figure
from coordinator.report.front_figure import front_figure
from coordinator.report.key_figures import key_figures
from coordinator.report.names import printable, shorten
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
from coordinator.report.theme import templates
from coordinator.report.timeline_figure import timeline_figure


def render_page(run: Run) -> str:
    """The whole page. Equal runs give equal bytes; it loads nothing, and its policy forbids that it could."""
    library, script = _plotly_library(), _asset("page.js")
    figures = _figures(run)
    return Template(_asset("page.html")).substitute(
        title=html.escape(shorten(run.title, 120)),
        policy=_policy((library, script)),
        style=_asset("page.css"),
        badges=_badges(run),
        headline=html.escape(headline(run)),
        lead="".join(f"<p>{html.escape(sentence)}</p>" for sentence in _lead(run)),
        warnings=_warnings(run),
        key_figures=_key_figures(run),
        pipeline=pipeline_strip(run),
        search=html.escape(search_sentence(run)),
        figures_data=_inline_json({figure.name: _plot(figure) for figure in figures}),
        templates_data=_inline_json(templates()),
        library=library,
        script=script,
        **_sections(run, {figure.name: figure for figure in figures}),
    )


def render_figures(title: str, figures: Sequence[Figure]) -> str:
    """A page of figures alone, under the same rules."""
    library, script = _plotly_library(), _asset("page.js")
    return Template(_asset("figures.html")).substitute(
        title=html.escape(shorten(title, 120)),
        policy=_policy((library, script)),
        style=_asset("page.css"),
        figures="\n".join(_figure(figure) for figure in figures),
        figures_data=_inline_json({figure.name: _plot(figure) for figure in figures}),
        templates_data=_inline_json(templates()),
        library=library,
        script=script,
    )


def _plotly_library() -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - 5 MB that only a page needs

    library: str = get_plotlyjs()
    return library.replace("</script", "<\\/script")


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
        "front": _figure(figures["front"]),
        "prediction": _prediction(run, figures) if measured else "",
        "timeline": _section("timeline", "Time-line", _figure(timeline)) if timeline else "",
        "events": _section("events", "What happened while it served", _figure(events)) if events else "",
        "busy": _figure(figures["busy"]),
        "profile": _figure(figures["profile"]),
        "profile_title": "Layer profile" if run.profile else "What crosses between units",
        "measured_table": html_table.to_html(page_tables.measured_table(run)) if measured else "",
        "stage_table": html_table.to_html(page_tables.stage_table(run)),
        "front_table": html_table.to_html(page_tables.front_table(run)),
        "link_table": html_table.to_html(page_tables.link_table(run)) if run.cluster.links else "",
        "emulation": _definitions(_by_words(run.emulation), "Nothing was emulated."),
        "environment": _definitions(run.measurement.environment if run.measurement else {}, "Nothing was measured."),
        "command": html.escape(printable(shlex.join(run.command))),
        "digest": html.escape(printable(run.graph.model_sha256)),
    }


def _lead(run: Run) -> tuple[str, ...]:
    if run.measurement is None:
        return (*comparison_sentences(run), "All figures are predictions of the cost model; nothing was measured yet.")
    measured = run.measurement
    return (*comparison_sentences(run), prediction_sentence(measured), correctness_sentence(measured))


def _prediction(run: Run, figures: dict[str, Figure]) -> str:
    if run.measurement is None:
        return ""
    table = html_table.to_html(prediction_page_table(run.measurement))
    parts = [_figure(figures["prediction"]), "<h3>Stage by stage</h3>", _figure(figures["residuals"]), table]
    return _section("prediction", "Predicted and measured", "\n".join(parts))


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


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>\n{content}\n</section>'


def _figure(figure: Figure) -> str:
    return (
        f'<figure><div class="plot" data-figure="{figure.name}" style="height:{figure.height}px"></div>'
        f"<figcaption>{html.escape(figure.caption)}</figcaption></figure>"
    )


def _definitions(pairs: dict[str, str], otherwise: str) -> str:
    if not pairs:
        return f"<p>{otherwise}</p>"
    items = (
        f"<div><dt>{html.escape(printable(name))}</dt><dd>{html.escape(printable(value))}</dd></div>"
        for name, value in pairs.items()
    )
    return f'<dl class="pairs">{"".join(items)}</dl>'


def _by_words(emulation: dict[str, str]) -> dict[str, str]:
    """The same with one entry for all that were emulated alike."""
    names: dict[str, list[str]] = {}
    for name, words in emulation.items():
        names.setdefault(words, []).append(name)
    return {", ".join(alike): words for words, alike in names.items()}


def _plot(figure: Figure) -> dict[str, object]:
    return {"data": figure.traces, "layout": {**figure.layout, "height": figure.height}}


def _inline_json(value: object) -> str:
    r"""JSON that may stand in a script element: no `<`, so that no name can end it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _policy(scripts: Sequence[str]) -> str:
    """Content security policy: only these scripts run, and nothing is fetched."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
