"""What profiling took on each device and how clear its times are, for the terminal."""

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import shorten
from coordinator.report.table_style import plain_table
from partitioner.profile import DeviceProfile, Profile

_COLUMNS = ("took", "sessions", "sending", "segments", "tight", "cached")


def profiling_table(profile: Profile) -> Table:
    """One line for each device: seconds in all and for what, segments, how many of them clear, the noisiest one."""
    table = plain_table("Profiling")
    table.add_column("device", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("noisiest segment", overflow="fold")
    has_power = any(device.power for device in profile.devices)
    if has_power:
        table.add_column("idle, active power", overflow="fold")
    for device in profile.devices:
        table.add_row(*map(Text, (*_cells(device), *([_power(device)] if has_power else []))))
    table.caption = Text(
        "took: all in all, thereof creating sessions and sending weights. tight: the interval of the median is narrow "
        "enough. cached: known from earlier runs."
    )
    return table


def _cells(device: DeviceProfile) -> tuple[str, ...]:
    return (
        shorten(device.device, 20),
        quantities.seconds(device.seconds),
        quantities.seconds(device.session_seconds),
        quantities.seconds(device.sending_seconds),
        f"{len(device.segments):,}",
        f"{device.n_tight:,}",
        f"{device.n_cached:,}",
        _noisiest(device),
    )


def _noisiest(device: DeviceProfile) -> str:
    noisiest = device.noisiest
    if noisiest is None:
        return quantities.UNKNOWN
    spread = quantities.percent(noisiest.coefficient_of_variation)
    return f"{noisiest.start}:{noisiest.stop}, {quantities.seconds(noisiest.seconds)} ± {spread}"


def _power(device: DeviceProfile) -> str:
    power = device.power
    if power is None:
        return quantities.UNKNOWN
    idle, active = quantities.number(power.idle_watts), quantities.number(power.active_watts)
    return f"{idle} W, {active} W, measured ({power.meter})"
