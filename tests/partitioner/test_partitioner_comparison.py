import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner.comparison import compare_fronts

FIGURE = st.integers(0, 5).map(float)
FRONTS = st.integers(1, 4).flatmap(
    lambda n: st.tuples(*[st.lists(st.tuples(*[FIGURE] * n), min_size=1, max_size=12)] * 2)
)


def covers(points, other, factor=1.0):
    return [any(all(a <= factor * b for a, b in zip(p, o, strict=True)) for p in points) for o in other]


def test_two_fronts_by_hand():
    first = [(1.0, 4.0), (2.0, 2.0), (9.0, 9.0)]
    second = [(1.0, 4.0), (2.0, 3.0), (4.0, 1.0), (4.0, 1.0)]
    found = compare_fronts(first, second, reference=(5.0, 5.0))
    assert found.n_points == (2, 3)
    assert found.hypervolumes == (4 * 1 + 3 * 2, 4 * 1 + 3 * 1 + 1 * 2)
    assert found.union_hypervolume == 4 * 1 + 3 * 2 + 1 * 1
    assert found.hypervolume_ratio == pytest.approx(10 / 9)
    assert found.coverage == (2 / 3, 1 / 2)
    assert found.epsilon == (2.0, 1.5)
    assert (found.n_surviving, found.n_shared) == ((1, 1), 1)


@given(FRONTS)
def test_everything_as_by_definition(pair):
    first, second = pair
    found = compare_fronts(first, second)
    back = compare_fronts(second, first)
    for name in ("n_points", "hypervolumes", "coverage", "epsilon", "n_surviving"):
        assert getattr(found, name) == getattr(back, name)[::-1]
    assert found.n_shared == back.n_shared
    assert found.union_hypervolume >= max(found.hypervolumes) * (1 - 1e-12)
    assert found.n_surviving[0] + found.n_shared <= found.n_points[0]
    fronts = [[p for p in set(points) if not any(c for c in covers(set(points) - {p}, [p]))] for points in pair]
    assert found.n_points == (len(fronts[0]), len(fronts[1]))
    assert found.coverage[0] == pytest.approx(np.mean(covers(first, fronts[1])))
    assert found.coverage[1] == pytest.approx(np.mean(covers(second, fronts[0])))
    assert (found.epsilon[0] <= 1) == (found.coverage[0] == 1)
    if 0 < found.epsilon[0] < np.inf:
        assert all(covers(fronts[0], fronts[1], found.epsilon[0] * (1 + 1e-9)))
        assert not all(covers(fronts[0], fronts[1], found.epsilon[0] * (1 - 1e-9)))


def test_a_front_equals_itself():
    points = np.random.default_rng(0).uniform(size=(30, 3))
    found = compare_fronts(points, points[::-1])
    assert found.hypervolumes[0] == found.hypervolumes[1] == found.union_hypervolume
    assert found.coverage == (1.0, 1.0)
    assert found.epsilon == (1.0, 1.0)
    assert found.n_surviving == (0, 0)
    assert found.n_shared == found.n_points[0] == found.n_points[1]
    assert np.all(np.array(found.reference) > points.max(axis=0))


def test_a_front_that_misses_by_two_percent_says_so():
    points = np.random.default_rng(0).uniform(1, 2, size=(30, 3))
    found = compare_fronts(points, points * 1.02)
    assert found.epsilon == (pytest.approx(1 / 1.02), pytest.approx(1.02))
    assert found.coverage == (1.0, 0.0)
    assert found.hypervolume_ratio > 1


def test_a_zero_that_only_one_has_is_infinitely_far():
    found = compare_fronts([(1.0, 0.0)], [(1.0, 0.5)])
    assert found.epsilon == (1.0, np.inf)
    flat = compare_fronts([(0.0, 1.0)], [(0.0, 1.0)])
    assert flat.epsilon == (1.0, 1.0)
    assert flat.reference == (0.1, 1.1)


def test_faulty_fronts_are_refused():
    with pytest.raises(ValueError, match="2 and 3 objectives"):
        compare_fronts([(1.0, 2.0)], [(1.0, 2.0, 3.0)])
    for wrong in ([], [(1.0, np.inf)], [(1.0, -1.0)], [1.0, 2.0]):
        with pytest.raises(ValueError, match="second front wants points"):
            compare_fronts([(1.0, 2.0)], wrong)
