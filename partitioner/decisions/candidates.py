"""What every choice must be among: splits, and not splitting."""

from collections.abc import Sequence
from typing import Literal

from partitioner.errors import PlanError
from partitioner.plan import Stage

PlanKind = Literal["stay", "send", "split"]
"""`stay`: the whole model where the inputs are, which is "do not split"; `send`: the whole model on another device,
which the inputs are sent to; `split`: on several."""
KINDS: tuple[PlanKind, ...] = ("stay", "send", "split")
"""In this order plans of equal figures are preferred: the simplest first."""


def plan_kind(stages: Sequence[Stage], home: str) -> PlanKind:
    """What kind of plan has these stages.

    Args:
        stages: Of the plan.
        home: The device where the inputs are.
    """
    devices = {device for stage in stages for device in stage.devices}
    if len(devices) > 1:
        return "split"
    return "stay" if devices == {home} else "send"


def check_candidates(kinds: Sequence[PlanKind], n_devices: int) -> None:
    """Does nothing where "do not split" and, with several devices, "send the input" are among the candidates.

    Raises:
        PlanError: One is missing; a recommendation that never looked at it would be worth nothing.
    """
    wanted: tuple[PlanKind, ...] = KINDS[:1] if n_devices == 1 else KINDS[:2]
    missing = [_NAMES[kind] for kind in wanted if kind not in kinds]
    if missing:
        raise PlanError(
            f"Among {len(kinds)} candidates there is no {' and no '.join(missing)}: add it, and decide again."
        )


def simplest_first(kinds: Sequence[PlanKind]) -> tuple[int, ...]:
    """Indices of plans so that, of equal ones, the first is the simplest."""
    return tuple(sorted(range(len(kinds)), key=lambda index: KINDS.index(kinds[index])))


_NAMES: dict[PlanKind, str] = {
    "stay": "plan that keeps the whole model where the inputs are (do not split)",
    "send": "plan that sends the inputs to another device (whole model there)",
    "split": "split",
}
