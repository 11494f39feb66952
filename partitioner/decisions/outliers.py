"""Samples far from the others. They are shown, never left out of a figure: a machine that stalls, stalls."""

import numpy as np
import numpy.typing as npt

from partitioner.front import BoolArray, FloatArray

MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
MEAN_TO_DEVIATION = 1.2533
"""The same over its mean absolute deviation."""
FAR = 3.5
"""Deviations from the median beyond which a sample is far."""


def deviations(samples: npt.ArrayLike) -> FloatArray:
    """(n_samples,) distance from the median in deviations, with its sign: the modified z-score.

    A deviation is 1.4826 times the median absolute deviation; where more than half of the samples are equal, 1.2533
    times the mean absolute one; 0 for all where all are equal. Infinite where so many deviations are no number.

    Source: Iglewicz and Hoaglin, "How to detect and handle outliers", 1993.

    Raises:
        ValueError: A sample is not finite.
    """
    array = np.asarray(samples, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError("Deviations want finite samples.")
    if not array.size:
        return array
    away = array - np.median(array)
    sizes = np.abs(away)
    scale = MAD_TO_DEVIATION * float(np.median(sizes)) or MEAN_TO_DEVIATION * float(np.mean(sizes))
    with np.errstate(over="ignore"):
        return away / scale if scale > 0 else np.zeros_like(array)


def flag_outliers(samples: npt.ArrayLike, *, most: float = FAR) -> BoolArray:
    """(n_samples,) which samples are more than `most` deviations from the median.

    Raises:
        ValueError: A sample is not finite.
    """
    flags: BoolArray = np.abs(deviations(samples)) > most
    return flags
