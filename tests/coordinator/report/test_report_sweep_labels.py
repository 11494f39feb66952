"""Names beside points: none covers another, or a point."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.report.axes import AxisScale
from coordinator.report.sweep.labels import SIDES, Canvas, _box, _overlap, label_sides

CANVAS = Canvas(
    width=300,
    height=120,
    letter=8,
    x_scale=AxisScale(is_logarithmic=True, low=1, high=1000),
    y_scale=AxisScale(is_logarithmic=False, low=0, high=50),
)
POINT = st.tuples(st.floats(1, 1000), st.floats(0, 50), st.sampled_from(["3", "14", "server", "two\nlines"]))


@given(st.lists(POINT, max_size=12))
def test_names_never_overlap(points: list[tuple[float, float, str]]) -> None:
    sides = label_sides(CANVAS, points)
    assert len(sides) == len(points)
    assert set(sides) <= {*SIDES, ""}
    boxes = [
        _box(CANVAS, CANVAS.place(x, y), name, side) for (x, y, name), side in zip(points, sides, strict=True) if side
    ]
    assert not any(_overlap(one, other) for i, one in enumerate(boxes) for other in boxes[i + 1 :])


def test_a_lone_point_has_its_name_at_the_upper_left() -> None:
    assert label_sides(CANVAS, [(100, 20, "14")]) == ["top left"]


def test_a_name_gives_way_to_a_point_without_one() -> None:
    assert label_sides(CANVAS, [(100, 20, "14")], [(90, 23)]) != ["top left"]
