"""Hypervolume against counted cells, inclusion and exclusion, and the library of others."""

from itertools import combinations, product

import moocore
import numpy as np
import pytest

from partitioner.hypervolume import hypervolume

SIDE = 4


def counted(points, n_objectives):
    """Unit cells of the grid that some point dominates."""
    return sum(
        any(all(figure <= edge for figure, edge in zip(point, cell, strict=True)) for point in points)
        for cell in product(range(SIDE), repeat=n_objectives)
    )


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 5])
def test_it_counts_dominated_cells_ties_and_repetitions_included(n_objectives):
    random = np.random.default_rng(n_objectives)
    for _ in range(25):
        points = random.integers(0, SIDE + 2, (int(random.integers(1, 12)), n_objectives)).astype(float)
        points = np.concatenate([points, points[:2]])
        assert hypervolume(points, [SIDE] * n_objectives) == counted(points, n_objectives)


@pytest.mark.parametrize("n_objectives", [2, 3, 4, 5, 6])
def test_it_is_inclusion_and_exclusion(n_objectives):
    random = np.random.default_rng(n_objectives)
    points = random.uniform(0, 1.1, (9, n_objectives))
    corner = np.ones(n_objectives)
    expected = sum(
        (-1) ** (size + 1) * np.prod(np.maximum(corner - np.max(chosen, axis=0), 0))
        for size in range(1, 10)
        for chosen in combinations(points, size)
    )
    assert hypervolume(points, corner) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n_objectives", "n_points"), [(2, 500), (3, 1000), (4, 200), (5, 60), (6, 30)])
def test_it_is_what_moocore_says_of_large_fronts(n_objectives, n_points):
    directions = np.abs(np.random.default_rng(1).normal(size=(n_points, n_objectives)))
    points = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    reference = np.linspace(1.0, 1.3, n_objectives)
    assert hypervolume(points, reference) == pytest.approx(moocore.hypervolume(points, ref=reference), rel=1e-12)


def test_it_does_not_depend_on_the_order_of_points_or_objectives():
    random = np.random.default_rng(3)
    points = random.uniform(size=(40, 4))
    expected = hypervolume(points, [1.0, 1.1, 1.2, 1.3])
    assert hypervolume(random.permutation(points), [1.0, 1.1, 1.2, 1.3]) == pytest.approx(expected, rel=1e-12)
    assert hypervolume(points[:, ::-1], [1.3, 1.2, 1.1, 1.0]) == pytest.approx(expected, rel=1e-12)


def test_what_is_not_better_than_the_reference_adds_nothing():
    assert hypervolume([(0.0, 0.0, 2.0), (3.0, 0.0, 0.0)], (2.0, 2.0, 2.0)) == 0.0
    assert hypervolume([(0.0, np.inf, 0.0), (1.0, 1.0, 1.0)], (2.0, 2.0, 2.0)) == 1.0
    assert hypervolume(np.empty((0, 3)), (2.0, 2.0, 2.0)) == 0.0


def test_faulty_calls_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        hypervolume([(1.0, 2.0)], (3.0, 3.0, 3.0))
    with pytest.raises(ValueError, match="finite figures"):
        hypervolume([(1.0, 2.0)], (3.0, np.inf))
    with pytest.raises(ValueError, match="NaN"):
        hypervolume([(1.0, np.nan)], (3.0, 3.0))
