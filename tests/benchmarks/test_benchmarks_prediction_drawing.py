"""The picture of the benchmark of predictions names its two bands once, since both have one colour."""

from dataclasses import replace
from pathlib import Path

from benchmarks._prediction_drawing import draw_points
from benchmarks._prediction_points import Figures, Point

MEASURED = Figures(
    latency=0.1,
    throughput=10.0,
    transfer=0.05,
    stages=(0.02, 0.03),
    latency_ends=(0.1, 0.1),
    throughput_ends=(10.0, 10.0),
)


def test_both_bands_are_one_entry_of_the_legend(tmp_path: Path) -> None:
    point = Point(
        model="toy",
        condition="lan",
        plan="1",
        n_stages=2,
        is_split_series=False,
        sent_bytes=1 << 24,
        before=replace(MEASURED, latency=0.2),
        after=MEASURED,
        measured=MEASURED,
        rounds=(MEASURED,),
    )
    drawn = draw_points([point], tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert drawn.count("± 5 % and ± 10 %") == 1
    assert drawn.count("± 10 %") == 1
