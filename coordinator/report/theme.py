"""Light and dark for plotly: templates that hold only what differs, chosen in the browser."""

from coordinator.report.figure import Json

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def templates() -> dict[str, Json]:
    """Plotly templates by `prefers-color-scheme`."""
    return {
        "light": _template(ink="#1b1f24", soft="#57606a", grid="#e4e7eb", box="#ffffff"),
        "dark": _template(ink="#e6e8eb", soft="#a2abb5", grid="#2c333b", box="#22272e"),
    }


def _template(*, ink: str, soft: str, grid: str, box: str) -> Json:
    axis = {
        "gridcolor": grid,
        "linecolor": soft,
        "tickcolor": soft,
        "zerolinecolor": grid,
        "tickfont": {"color": soft, "size": 12},
        "title": {"font": {"size": 13}},
    }
    return {
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 13, "color": ink},
            "hoverlabel": {
                "bgcolor": box,
                "bordercolor": soft,
                "font": {"family": FONT, "color": ink, "size": 12},
                "align": "left",
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": soft, "activecolor": ink},
            "annotationdefaults": {"font": {"color": ink, "size": 12}},
            "xaxis": axis,
            "yaxis": axis,
            "scene": {f"{name}axis": {**axis, "backgroundcolor": "rgba(0,0,0,0)"} for name in "xyz"},
        }
    }
