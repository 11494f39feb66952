"""Two profiles as one."""

from dataclasses import replace

from partitioner.profile import DeviceProfile, Profile


def merge_profiles(older: Profile, newer: Profile) -> Profile:
    """The older profile with what the newer one measured added; a span measured twice keeps the newer time."""
    updates = {profile.device: profile for profile in newer.devices}
    devices = tuple(_merge_device(profile, updates.get(profile.device)) for profile in older.devices)
    return replace(older, devices=devices)


def _merge_device(older: DeviceProfile, newer: DeviceProfile | None) -> DeviceProfile:
    if newer is None:
        return older
    segments = {timing.span: timing for timing in (*older.segments, *newer.segments)}
    return replace(
        older,
        segments=tuple(segments[span] for span in sorted(segments)),
        runtime=newer.runtime,
        emulation=newer.emulation,
        unsupported_units=tuple(sorted({*older.unsupported_units, *newer.unsupported_units})),
        seconds=older.seconds + newer.seconds,
        session_seconds=older.session_seconds + newer.session_seconds,
        sending_seconds=older.sending_seconds + newer.sending_seconds,
        power=newer.power or older.power,
    )
