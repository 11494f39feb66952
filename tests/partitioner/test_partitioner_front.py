import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner.front import front_indices, hypervolume_2d, is_dominated, knee_index

COARSE = st.integers(0, 6).map(float)
PAIRS = st.lists(st.tuples(COARSE, COARSE), min_size=1, max_size=25)
TRIPLES = st.lists(st.tuples(COARSE, COARSE, COARSE), min_size=1, max_size=25)
FEW = st.integers(0, 3).map(float)
MANY = st.one_of(
    st.lists(st.tuples(COARSE), min_size=1, max_size=10),
    st.lists(st.tuples(FEW, FEW, FEW, FEW), min_size=1, max_size=40),
    st.lists(st.tuples(FEW, FEW, FEW, FEW, FEW), min_size=1, max_size=40),
)


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


@given(st.one_of(PAIRS, TRIPLES, MANY))
def test_dominated_as_by_definition(points):
    expected = [any(dominates(other, point) for other in points) for point in points]
    assert is_dominated(points).tolist() == expected


@given(st.one_of(PAIRS, TRIPLES, MANY))
def test_front_is_sorted_without_repetition_and_covers_all(points):
    front = [points[index] for index in front_indices(points)]
    assert front == sorted(set(front))
    assert not any(dominates(other, point) for point in front for other in points)
    assert all(any(other == point or dominates(other, point) for other in front) for point in points)


def test_of_equal_points_the_first_is_kept():
    assert front_indices([(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0)]).tolist() == [1, 0]


def test_infinity_is_worse_than_every_number():
    assert is_dominated([(1.0, np.inf), (np.inf, np.inf), (2.0, 5.0)]).tolist() == [False, True, False]
    assert is_dominated([(1.0, np.inf, 1.0), (np.inf, np.inf, 1.0), (2.0, 5.0, 0.0)]).tolist() == [False, True, False]
    assert is_dominated(np.empty((0, 2))).tolist() == []
    assert is_dominated(np.empty((0, 3))).tolist() == []


@pytest.mark.parametrize("n_objectives", [2, 3, 4, 5])
def test_large_fronts_as_by_definition(n_objectives):
    random = np.random.default_rng(n_objectives)
    points = np.round(random.uniform(size=(400, n_objectives)), 1 if n_objectives > 2 else 2)
    expected = [bool(np.any(np.all(points <= p, axis=1) & np.any(points < p, axis=1))) for p in points]
    assert is_dominated(points).tolist() == expected
    assert 0 < sum(expected) < 400
    points[:, 0] = -points[:, 1:].sum(axis=1)  # nothing dominates anything but what is alike
    assert not is_dominated(points).any()
    assert len(front_indices(points)) == len(np.unique(points, axis=0)) < 400


@given(PAIRS)
def test_hypervolume_counts_dominated_cells(points):
    cells = sum(any(x <= column and y <= row for x, y in points) for column in range(8) for row in range(8))
    assert hypervolume_2d(points, (8.0, 8.0)) == cells


@given(PAIRS, st.tuples(COARSE, COARSE))
def test_hypervolume_never_falls_with_another_point(points, another):
    assert hypervolume_2d([*points, another], (5.0, 4.0)) >= hypervolume_2d(points, (5.0, 4.0))


def test_points_beyond_the_reference_add_nothing():
    assert hypervolume_2d([(0.0, 9.0), (9.0, 0.0), (3.0, 3.0)], (4.0, 5.0)) == 2.0
    assert hypervolume_2d([(4.0, 0.0)], (4.0, 5.0)) == 0.0


def test_knee_bulges_most():
    assert knee_index([(0.0, 10.0), (1.0, 3.0), (5.0, 2.0), (10.0, 0.0)]) == 1
    assert knee_index([(10.0, 0.0), (0.0, 1000.0), (6.0, 300.0), (2.0, 200.0)]) == 3


@pytest.mark.parametrize(
    ("points", "index"),
    [([(3.0, 1.0)], 0), ([(3.0, 1.0), (1.0, 2.0)], 1), ([(0.0, 2.0), (1.5, 1.5), (2.0, 0.0)], 0)],
)
def test_without_a_bulge_the_first_objective_decides(points, index):
    assert knee_index(points) == index


@given(PAIRS, st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_knee_is_on_the_front_and_does_not_depend_on_units(points, x_unit, y_unit):
    index = knee_index(points)
    assert index in front_indices(points)
    # exact powers of two keep the arithmetic exact, so that ties stay ties
    scale = 2.0 ** np.round(np.log2([x_unit, y_unit]))
    assert knee_index(np.array(points) * scale) == index


def test_the_knee_of_three_objectives_bulges_most_from_the_plane_of_the_extremes():
    extremes = [(0.0, 10.0, 1000.0), (10.0, 0.0, 1000.0), (10.0, 10.0, 0.0)]
    near, on_plane, knee = (4.0, 4.0, 500.0), (20 / 3, 20 / 3, 2000 / 3), (2.0, 3.0, 300.0)
    assert knee_index([*extremes, near, on_plane, knee]) == 5
    assert knee_index([knee, *extremes, near, on_plane]) == 0


def test_the_plane_leans_as_the_extremes_do():
    points = np.array([(0.0, 0.5, 1.0), (1.0, 0.0, 0.6), (0.8, 1.0, 0.0), (0.2, 0.2, 0.45), (0.5, 0.37, 0.02)])
    assert np.argmin(points.sum(axis=1)) == 3  # equal weights would choose this one
    normal = np.linalg.solve(points[:3], np.ones(3))
    assert np.argmax(1 - points @ normal) == 4
    assert knee_index(points * [3.0, 1e-3, 1e6]) == 4


def test_extremes_that_span_no_facing_plane_leave_equal_weights():
    """The first point is least in two objectives, so that three extremes make no plane."""
    assert knee_index([(0.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.3, 0.3, 0.2), (0.2, 0.2, 0.6)]) == 2


@pytest.mark.parametrize("n_objectives", [3, 4, 5])
def test_the_knee_is_on_the_front_whatever_the_units_and_the_order(n_objectives):
    random = np.random.default_rng(n_objectives)
    for _ in range(30):
        directions = np.abs(random.normal(size=(40, n_objectives)))
        points = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True) * random.uniform(0.8, 1, (40, 1))
        index = knee_index(points)
        assert index in front_indices(points)
        assert knee_index(points * 2.0 ** random.integers(-9, 9, n_objectives)) == index
        order = random.permutation(40)
        assert order[knee_index(points[order])] == index


def test_without_a_bulge_in_three_objectives_the_first_decides():
    assert knee_index([(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]) == 2
    assert knee_index([(2.0, 2.0, 2.0)]) == 0
    assert knee_index([(0.0, 1.0, 5.0), (1.0, 0.0, 5.0)]) == 0


def test_faulty_points_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        is_dominated([(1.0, float("nan"))])
    with pytest.raises(ValueError, match="shape"):
        is_dominated([1.0, 2.0])
    with pytest.raises(ValueError, match="two objectives"):
        hypervolume_2d([(1.0, 2.0, 3.0)], (4.0, 4.0))
    with pytest.raises(ValueError, match="at least one point"):
        knee_index(np.empty((0, 2)))
