import math

import numpy as np
import pytest

from coordinator.errors import OutputMismatchError
from coordinator.output_gate import CODING_MARGIN, EXACT, TOLERANCE, OutputErrors, OutputGate

Y = np.linspace(-1, 1, 101, dtype=np.float32)


def moved(by):
    """Y with a relative L2 error of `by`, all in its largest number."""
    values = Y.astype(np.float64)
    values[-1] += by * np.linalg.norm(values)
    return {"y": values.astype(np.float32)}


def test_without_lossy_codecs_only_rounding_passes():
    assert EXACT.check({"y": Y}, {"y": Y}) == OutputErrors(relative=0.0, l2=None)
    assert EXACT.check({"y": Y * np.float32(1 + 0.5 * TOLERANCE)}, {"y": Y}).relative < TOLERANCE
    with pytest.raises(OutputMismatchError, match=r"'y' .* relative \(at most 0.0001\): the plan is not served"):
        EXACT.check({"y": Y * np.float32(1 + 2 * TOLERANCE)}, {"y": Y})


def test_lossy_codecs_may_do_what_was_predicted_with_a_margin_and_no_more():
    gate = OutputGate(predicted_error=0.01)
    errors = gate.check(moved(0.019), {"y": Y})
    assert errors.l2 == pytest.approx(0.019, rel=1e-3)
    assert errors.relative > errors.l2
    with pytest.raises(OutputMismatchError, match=r"by 0.021 relative L2 \(at most 0.02: 2 times the 0.01 that"):
        gate.check(moved(0.0212), {"y": Y})
    assert gate.bound == pytest.approx(CODING_MARGIN * 0.01 + TOLERANCE)


@pytest.mark.parametrize("predicted", [0.0, 0.3])
@pytest.mark.parametrize(
    "outputs",
    [{}, {"y": Y[:-1]}, {"y": Y.astype(np.float64)}, {"y": np.where(Y > 0.99, np.float32(np.nan), Y)}],
    ids=["missing", "shape", "type", "NaN"],
)
def test_what_cannot_be_compared_never_passes(predicted, outputs):
    with pytest.raises(OutputMismatchError, match="'y'"):
        OutputGate(predicted_error=predicted).check(outputs, {"y": Y})


@pytest.mark.parametrize("predicted", [math.inf, math.nan])
def test_a_prediction_that_is_no_number_lets_nothing_pass(predicted):
    with pytest.raises(OutputMismatchError):
        OutputGate(predicted_error=predicted).check({"y": Y}, {"y": Y})


def test_the_worst_output_counts_and_classes_by_the_part_that_differs():
    classes = np.arange(100)
    wrong = classes.copy()
    wrong[:3] += 1
    expected = {"y": Y, "classes": classes}
    gate = OutputGate(predicted_error=0.01)
    with pytest.raises(OutputMismatchError, match=r"'classes' .* by 0\.03"):
        gate.check({"y": Y, "classes": wrong}, expected)
    assert OutputGate(predicted_error=0.02).check({"y": Y, "classes": wrong}, expected).l2 == pytest.approx(0.03)


def test_the_worse_of_two_is_taken_figure_by_figure():
    one, other = OutputErrors(relative=0.2, l2=None), OutputErrors(relative=0.1, l2=0.3)
    assert one.worse(other) == other.worse(one) == OutputErrors(relative=0.2, l2=0.3)
    assert one.worse(one) == one
