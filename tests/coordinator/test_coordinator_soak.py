"""A short soak; the ten minutes are `python -m benchmarks.soak`."""

import pytest

from benchmarks.soak import CLIENT, figures, soak
from partitioner.onnx_io import load_model


@pytest.mark.slow
def test_a_full_window_makes_no_process_grow(toy_model):
    found = soak(load_model(str(toy_model)), seconds=20)
    assert found.readings.keys() == {CLIENT, "local-1", "local-2"}
    assert found.n_answers > 500
    assert [figure.name for figure in figures(found) if not figure.holds] == []
