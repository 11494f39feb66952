"""The page of a sweep: one HTML file with everything in it, raw samples included."""

import html
import json
from collections.abc import Callable, Sequence

from coordinator.report import html_table
from coordinator.report.document import definitions, inline_json, page, plot_of
from coordinator.report.figure import Figure
from coordinator.report.names import printable
from coordinator.report.sweep.crossover_figure import crossover_figure
from coordinator.report.sweep.forecast_tables import forecast_tables
from coordinator.report.sweep.front_figure import front_figure
from coordinator.report.sweep.judging import OBJECTIVES
from coordinator.report.sweep.overlay_figure import overlay_figure
from coordinator.report.sweep.prediction_figure import prediction_figure
from coordinator.report.sweep.samples import case_samples, stride_for
from coordinator.report.sweep.series import SettingSeries, SweepSeries
from coordinator.report.sweep.spread_figure import spread_figure
from coordinator.report.sweep.styles import network_words
from coordinator.report.sweep.tables import case_target, cases_table, conditions_table, regret_page_table
from coordinator.report.sweep.wording import count_sentence, reason_counts

MOST_REASONS = 8


def render_sweep(series: SweepSeries) -> str:
    """The whole page. Equal sweeps give equal bytes; it loads nothing, and its policy forbids that it could."""
    n_samples = sum(len(run.samples) for run in series.runs)
    return page(
        "sweep.html",
        title=series.name,
        scripts=("plots.js", "tables.js", "samples.js", "sweep.js"),
        styles=("page.css", "sweep.css"),
        badges=_badges(series),
        recommendations=_recommendations(series),
        counts=html.escape(count_sentence(series)),
        faults=_faults(series),
        choice=_choice(series),
        conditions=_each(series, lambda setting: html_table.to_html(conditions_table(setting))),
        regrets=_each(series, _regrets),
        cases=html_table.to_html(cases_table(series)),
        sweep=definitions(_facts(series, n_samples), ""),
        spec=html.escape(printable_lines(json.dumps(series.spec, indent=1, ensure_ascii=False))),
        settings_data="\n".join(
            f'<script type="application/json" id="setting-{number}">{inline_json(_setting(setting))}</script>'
            for number, setting in enumerate(series.settings)
        ),
        samples_data=_samples(series, stride_for(n_samples)),
    )


def printable_lines(text: str) -> str:
    """Printable, line by line."""
    return "\n".join(map(printable, text.splitlines()))


def setting_figures(setting: SettingSeries) -> tuple[Figure, ...]:
    """All pictures of one setting, by the names of their places."""
    found: list[Figure | None] = [
        front_figure(setting),
        overlay_figure(setting),
        crossover_figure(setting),
        prediction_figure(setting),
    ]
    if not setting.is_predicted:
        found += [spread_figure(setting, objective) for objective in OBJECTIVES]
    return tuple(figure for figure in found if figure is not None)


def _setting(setting: SettingSeries) -> dict[str, object]:
    return {
        "name": setting.name,
        "conditions": [{"name": printable(one.name), "network": network_words(one)} for one in setting.conditions],
        "figures": {figure.name: {**plot_of(figure), "caption": figure.caption} for figure in setting_figures(setting)},
    }


def _samples(series: SweepSeries, stride: int) -> str:
    return "\n".join(
        f'<script type="application/json" id="{case_target(point.case_key)}">'
        f"{inline_json(case_samples(setting, point, stride))}</script>"
        for setting, point in series.cases
    )


def _badges(series: SweepSeries) -> str:
    ends = {state: sum(run.state == state for run in series.runs) for state in ("invalid", "failed")}
    badges = [("badge warn", f"{n:,} {state} attempts") for state, n in ends.items() if n]
    if all(setting.is_predicted for setting in series.settings):
        badges.append(("badge", "predicted only"))
    return "".join(f'<span class="{style}">{text}</span>' for style, text in badges)


def _recommendations(series: SweepSeries) -> str:
    """What to run, for every setting; with a single one it is the headline of the page."""
    if len(series.settings) == 1:
        found = series.settings[0].recommendation
        return f"<h1>{_prose(found.headline)}</h1>{_reasons(found.reasons)}"
    parts = [
        f'<article class="advice"><h2>{html.escape(setting.name)}</h2><p>{_prose(setting.recommendation.headline)}</p>'
        f"{_reasons(setting.recommendation.reasons)}</article>"
        for setting in series.settings
    ]
    return f"<h1>What to run, for each of {len(parts)} settings</h1>{''.join(parts)}"


def _prose(text: str) -> str:
    """As HTML; a figure is not parted from its sign."""
    return html.escape(text).replace(" %", "\u00a0%")


def _reasons(reasons: Sequence[str]) -> str:
    return f'<ul class="reasons">{"".join(f"<li>{_prose(reason)}</li>" for reason in reasons)}</ul>'


def _faults(series: SweepSeries) -> str:
    counts = reason_counts(series)
    if not counts:
        return ""
    items = [f"<li>{n:,} × {_prose(reason)}</li>" for reason, n in counts[:MOST_REASONS]]
    rest = sum(n for _, n in counts[MOST_REASONS:])
    if rest:
        items.append(f"<li>{rest:,} for other reasons; they stand in the table of cases</li>")
    return (
        '<div class="doubts" role="note"><h2>Attempts that came to nothing</h2>'
        f"<p>They are drawn, and enter no figure.</p><ul>{''.join(items)}</ul></div>"
    )


def _choice(series: SweepSeries) -> str:
    options = "".join(
        f'<option value="{number}">{html.escape(setting.name)}</option>'
        for number, setting in enumerate(series.settings)
    )
    return f'<label>Figures of <select id="setting">{options}</select></label>'


def _each(series: SweepSeries, render: Callable[[SettingSeries], str]) -> str:
    """One block for each setting, of which the script shows one."""
    return "\n".join(
        f'<div data-setting="{number}"{" hidden" if number else ""}>{render(setting)}</div>'
        for number, setting in enumerate(series.settings)
    )


def _regrets(setting: SettingSeries) -> str:
    found = [
        *map(regret_page_table, setting.regrets),
        *(forecast_tables(setting.forecast).values() if setting.forecast else ()),
    ]
    return "\n".join(map(html_table.to_html, found)) or '<p class="note">No plan was measured under any condition.</p>'


def _facts(series: SweepSeries, n_samples: int) -> dict[str, str]:
    return {
        "cases": f"{len(series.cases):,}",
        "attempts": f"{len(series.runs):,}",
        "raw samples": f"{n_samples:,}",
        "planned at": series.created_at,
        "seed": str(series.seed),
        **series.versions,
    }
