"""How far what shards compute is from what the whole model computes."""

import math

import numpy as np


def relative_error(obtained: np.ndarray | None, expected: np.ndarray) -> float:
    """`max|a - b| / max|b|` of one output; infinite where the two cannot be compared.

    The error is taken over the norm of the output, not number by number: rounding is relative to the sums that are
    formed, so that a number near zero next to large ones is no better known than they are, while a network whose
    outputs are all tiny (1e-9 with random weights) is still judged by its own size, where an absolute tolerance would
    prove nothing. NaN and infinite values must stand in the same places, and outputs that are not floating-point must
    be equal.
    """
    if obtained is None or obtained.shape != expected.shape or obtained.dtype != expected.dtype:
        return math.inf
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(obtained, expected) else math.inf
    finite = np.isfinite(expected)
    if (
        not np.array_equal(obtained[~finite], expected[~finite], equal_nan=True)
        or not np.isfinite(obtained[finite]).all()
    ):
        return math.inf
    if not finite.any():
        return 0.0
    wanted = expected[finite].astype(np.float64)
    size = max(float(np.abs(wanted).max()), float(np.finfo(expected.dtype).tiny))
    return float(np.abs(obtained[finite].astype(np.float64) - wanted).max()) / size


def l2_error(obtained: np.ndarray, expected: np.ndarray) -> float:
    """`‖a - b‖ / ‖b‖` of one output; infinite where the two cannot be compared or `b` is all zero and `a` is not.

    NaN and infinite values must stand in the same places and count no further. Of outputs that are whole numbers,
    truth values or strings it is the part that differs: the distance between two class numbers means nothing.
    """
    if obtained.shape != expected.shape or obtained.dtype != expected.dtype:
        return math.inf
    if expected.dtype.kind in "biuO":
        return float(np.mean(obtained != expected)) if expected.size else 0.0
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    finite = np.isfinite(expected)
    if not np.array_equal(obtained[~finite], expected[~finite], equal_nan=True) or not np.isfinite(obtained).all(
        where=finite
    ):
        return math.inf
    wanted = expected[finite].astype(wide)
    difference = obtained[finite].astype(wide) - wanted
    if not difference.any():
        return 0.0
    scale = float(np.abs(wanted).max())
    if scale == 0:
        return math.inf
    return float(np.linalg.norm(difference / scale) / np.linalg.norm(wanted / scale))
