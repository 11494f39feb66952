"""Times of single units out of a profile."""

from dataclasses import dataclass

from partitioner.plan import Plan
from partitioner.profile import DeviceProfile, Profile, SegmentTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTimes:
    """What one device takes for each unit alone, as far as that was measured."""

    device: str
    units: tuple[SegmentTiming | None, ...]
    """One for each unit; None where only longer segments were measured."""
    whole_seconds: float | None
    """The whole model in one piece, where it was measured."""
    emulation: str | None

    @property
    def n_measured(self) -> int:
        """Units that were measured alone."""
        return sum(timing is not None for timing in self.units)

    @property
    def sum_seconds(self) -> float:
        """Of the units that were measured alone; more than the whole, since each is a session of its own."""
        return sum(timing.seconds for timing in self.units if timing is not None)


def unit_times(profile: Profile | None) -> tuple[UnitTimes, ...]:
    """Unit times of each device of a profile that has any."""
    if profile is None:
        return ()
    found = tuple(_of_device(device, profile.n_units) for device in profile.devices)
    return tuple(times for times in found if times.n_measured)


def own_units(plan: Plan, device: str) -> frozenset[int]:
    """Units that a plan gives to a device."""
    stages = (stage for stage in plan.stages if stage.device == device)
    return frozenset(unit for stage in stages for unit in range(stage.start, stage.stop))


def _of_device(device: DeviceProfile, n_units: int) -> UnitTimes:
    spans = {(timing.start, timing.stop): timing for timing in device.segments}
    whole = spans.get((0, n_units))
    return UnitTimes(
        device=device.device,
        units=tuple(spans.get((unit, unit + 1)) for unit in range(n_units)),
        whole_seconds=None if whole is None else whole.seconds,
        emulation=device.emulation,
    )
