"""Writes the pictures of a run into its folder."""

from pathlib import Path

from coordinator.report.run import Run


def write_report(folder: Path, run: Run) -> tuple[Path, ...]:
    """Writes `report.html` and `figures/` into `folder`, made where it is missing, and returns the files.

    Equal runs give equal files, but for what another version of a drawing library changes.

    Raises:
        OSError: A file cannot be written.
    """
    # Both are slow to import, and only here are they needed.
    from coordinator.report import figures, page  # noqa: PLC0415

    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    report = folder / "report.html"
    report.write_text(page.render_page(run), encoding="utf-8", newline="\n")
    return (
        report,
        figures.draw_front(run, drawings / "front.png"),
        figures.draw_front(run, drawings / "front.svg"),
        figures.draw_profile(run, drawings / "profile.png"),
    )
