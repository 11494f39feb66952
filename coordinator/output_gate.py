"""The gate that a plan's answers must pass: they are the whole model's, but for the error that its codecs bring."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from coordinator.errors import OutputMismatchError
from partitioner.equality import l2_error, relative_error
from partitioner.plan import CostEstimate

TOLERANCE = 1e-4
"""Largest relative error with which a plan without lossy codecs may serve; nodes of another architecture round
differently."""
CODING_MARGIN = 2.0
"""Error over predicted error up to which a plan with lossy codecs may serve. Predicted is the worst of three inputs,
summed over boundaries. On other inputs (ResNet-18 and MobileNetV2, float16 and int8, 12 split points, 12 inputs each)
it was 0.90 to 0.96 of that in the median, 1.24 at most; two coded boundaries never exceeded 1.08 of their sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputErrors:
    """The worst of an answer's outputs, or of many answers."""

    relative: float = 0.0
    """See `equality.relative_error`."""
    l2: float | None = None
    """See `equality.l2_error`; None where no lossy codec was at work."""

    def worse(self, other: "OutputErrors") -> "OutputErrors":
        """The worse of two, each figure by itself."""
        seen = [error for error in (self.l2, other.l2) if error is not None]
        return OutputErrors(relative=max(self.relative, other.relative), l2=max(seen, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGate:
    """What answers are held against.

    Without lossy codecs the largest relative error counts (`TOLERANCE`). With them it is the relative L2 error, since
    that is what was measured of codecs: at most `CODING_MARGIN` times what they are predicted to bring, and the
    tolerance. Outputs that are not numbers of a scale (classes, truth values) count by the part that differs.
    """

    predicted_error: float = 0.0
    """Relative L2 error that the plan's codecs are predicted to bring; 0 where all are lossless."""

    @classmethod
    def of(cls, cost: CostEstimate) -> "OutputGate":
        """The gate of a plan."""
        return cls(predicted_error=cost.output_error)

    @property
    def is_exact(self) -> bool:
        """Whether nothing but rounding is forgiven."""
        return self.predicted_error == 0

    @property
    def bound(self) -> float:
        """Largest error that passes."""
        return TOLERANCE + CODING_MARGIN * self.predicted_error

    def check(self, outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> OutputErrors:
        """How far the outputs are off.

        Raises:
            OutputMismatchError: An output is missing or further off than the bound; errors that are no numbers are.
        """
        relative = {name: relative_error(outputs.get(name), values) for name, values in expected.items()}
        judged = relative if self.is_exact else {name: _l2(outputs.get(name), one) for name, one in expected.items()}
        worst = max(judged, key=judged.__getitem__)
        if not judged[worst] <= self.bound < np.inf:
            raise OutputMismatchError(
                f"Output '{worst}' of the pipeline differs from the whole model's by {judged[worst]:.2g} "
                f"{self._measure()}: the plan is not served."
            )
        return OutputErrors(relative=max(relative.values()), l2=None if self.is_exact else judged[worst])

    def _measure(self) -> str:
        if self.is_exact:
            return f"relative (at most {self.bound:g})"
        return (
            f"relative L2 (at most {self.bound:.2g}: {CODING_MARGIN:g} times the {self.predicted_error:.2g} that its "
            f"codecs are predicted to bring, and {TOLERANCE:g})"
        )


def _l2(obtained: np.ndarray | None, expected: np.ndarray) -> float:
    return np.inf if obtained is None else l2_error(obtained, expected)


EXACT = OutputGate()
