"""Pieces of a page that carries everything in itself. The only door to plotly."""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template

from coordinator.report.figure import Figure
from coordinator.report.names import printable, shorten
from coordinator.report.theme import templates


def plotly_library() -> str:
    """Plotly's script, fit for a script element."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - 5 MB that only a page needs

    library: str = get_plotlyjs()
    return library.replace("</script", "<\\/script")


def section(name: str, title: str, content: str) -> str:
    """A part of the page; `title` and `content` are HTML."""
    return f'<section id="{name}"><h2>{title}</h2>\n{content}\n</section>'


def figure_element(figure: Figure) -> str:
    """The place where a figure is drawn, and what stands under it."""
    return (
        f'<figure><div class="plot" data-figure="{figure.name}" style="height:{figure.height}px"></div>'
        f"<figcaption>{html.escape(figure.caption)}</figcaption></figure>"
    )


def definitions(pairs: Mapping[str, str], otherwise: str) -> str:
    """A list of names with their values; `otherwise`, which is HTML, where there are none."""
    if not pairs:
        return f"<p>{otherwise}</p>"
    items = (
        f"<div><dt>{html.escape(printable(name))}</dt><dd>{html.escape(printable(value))}</dd></div>"
        for name, value in pairs.items()
    )
    return f'<dl class="pairs">{"".join(items)}</dl>'


def plot_of(figure: Figure) -> dict[str, object]:
    """What plotly draws."""
    return {"data": figure.traces, "layout": {**figure.layout, "height": figure.height}}


def inline_json(value: object) -> str:
    r"""JSON that may stand in a script element: no `<`, so that no name can end it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def page(body: str, *, title: str, scripts: Sequence[str], styles: Sequence[str] = ("page.css",), **parts: str) -> str:
    """A page that loads nothing, and whose policy forbids that it could.

    Args:
        body: Asset that follows the head, with a place for each of `parts`.
        title: Of the page.
        scripts: Assets that run in it, after plotly.
        styles: Assets that dress it.
        parts: HTML.
    """
    library, script = plotly_library(), "".join(map(asset, scripts))
    return Template(asset("head.html") + asset(body)).substitute(
        title=html.escape(shorten(title, 120)),
        policy=policy((library, script)),
        style="".join(map(asset, styles)),
        templates_data=inline_json(templates()),
        library=library,
        script=script,
        **parts,
    )


def policy(scripts: Sequence[str]) -> str:
    """Content security policy: only these scripts run, and nothing is fetched."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def asset(name: str) -> str:
    """Text of a file that comes with the package."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
