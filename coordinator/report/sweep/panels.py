"""Small multiples for plotly: several axes in a grid."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.report.axes import AxisScale
from coordinator.report.figure import Json, scaled_axis

GAP_ACROSS = 0.03
"""Between columns, as a part of the picture's width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Panels from left to right, then down."""

    n_panels: int
    n_columns: int
    panel_height: int
    """Pixels."""
    gap_height: int
    """Pixels between rows, for titles."""
    gap_across: float = GAP_ACROSS

    @property
    def n_rows(self) -> int:
        """Rows, the last one may be short."""
        return -(-self.n_panels // self.n_columns)

    @property
    def height(self) -> int:
        """Of all rows, pixels."""
        return self.n_rows * (self.panel_height + self.gap_height)

    def axes(self, panel: int) -> Json:
        """What ties a trace to a panel."""
        return {"xaxis": f"x{_number(panel)}", "yaxis": f"y{_number(panel)}"}

    def across(self, panel: int) -> list[float]:
        """Left and right end of a panel, parts of the picture."""
        width = (1 - self.gap_across * (self.n_columns - 1)) / self.n_columns
        left = panel % self.n_columns * (width + self.gap_across)
        return [left, min(left + width, 1.0)]

    def upright(self, panel: int) -> list[float]:
        """Lower and upper end of a panel, parts of the picture."""
        row = panel // self.n_columns
        top = 1 - (row * (self.panel_height + self.gap_height) + self.gap_height) / self.height
        return [max(top - self.panel_height / self.height, 0.0), top]

    def scaled_axes(
        self, x_title: str, y_title: str, scales: Sequence[tuple[AxisScale, AxisScale]]
    ) -> dict[str, object]:
        """Axes with the views of each panel; where all are alike they move together, and outer ones have numbers."""
        found: dict[str, object] = {}
        is_shared = len(set(scales)) < 2
        for panel, (x_scale, y_scale) in enumerate(scales):
            number = _number(panel)
            is_lowest, is_left = panel + self.n_columns >= self.n_panels, panel % self.n_columns == 0
            found[f"xaxis{number}"] = scaled_axis(
                x_title if is_lowest else "",
                x_scale,
                domain=self.across(panel),
                anchor=f"y{number}",
                showticklabels=is_lowest or not is_shared,
                **({"matches": "x"} if panel and is_shared else {}),
            )
            found[f"yaxis{number}"] = scaled_axis(
                y_title if is_left else "",
                y_scale,
                domain=self.upright(panel),
                anchor=f"x{number}",
                showticklabels=is_left or not is_shared,
                **({"matches": "y"} if panel and is_shared else {}),
            )
        return found

    def titles(self, titles: Sequence[tuple[str, str]]) -> list[Json]:
        """A bold line over each panel, and a plain one after it."""
        return [
            {
                "text": f"<b>{title}</b>" + (f"<br><span style='font-size:11px'>{note}</span>" if note else ""),
                "x": self.across(panel)[0],
                "y": self.upright(panel)[1],
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "align": "left",
                "showarrow": False,
            }
            for panel, (title, note) in enumerate(titles)
        ]


def _number(panel: int) -> str:
    return str(panel + 1) if panel else ""
