"""What makes a machine slow or its figures doubtful: throttling, temperature, governor, clock."""

from dataclasses import dataclass

from deploy.facts.fact import Fact, KeyLines

_COMMAND = r"""
command -v vcgencmd >/dev/null && echo "throttled $(vcgencmd get_throttled 2>/dev/null | sed 's/.*=//')"
for zone in /sys/class/thermal/thermal_zone*; do
  [ -r "$zone/temp" ] && echo "zone $(cat "$zone/temp" 2>/dev/null) $(cat "$zone/type" 2>/dev/null)"
done
for governor in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do
  [ -r "$governor" ] && echo "governor $(cat "$governor")"
done
command -v timedatectl >/dev/null &&
  echo "synchronised $(timedatectl show -p NTPSynchronized --value 2>/dev/null)"
echo "load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null)"
for device in /dev/nvidia0 /dev/dri/renderD128 /dev/hailo0 /dev/apex_0; do
  [ -e "$device" ] && echo "device $device"
done
"""

_THROTTLING = (
    (0, "the supply voltage is too low"),
    (1, "the clock is capped"),
    (2, "it is throttled"),
    (3, "it is near its temperature limit and slowed down"),
)
_SINCE_BOOT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a machine is under."""

    throttled_bits: int | None
    """As `vcgencmd get_throttled` has them; None where there is no such command."""
    temperatures: tuple[tuple[str, float], ...]
    """(zone, degrees Celsius)."""
    governors: frozenset[str]
    """Of the processors' clocks; empty where the system has no say in them."""
    is_synchronised: bool | None
    """Whether the clock follows a server; None: unknown."""
    load: float | None
    """Processes that want to run, averaged over a minute."""
    devices: tuple[str, ...]
    """Device files of accelerators."""

    @property
    def throttled_now(self) -> tuple[str, ...]:
        """What slows a Raspberry Pi at this moment."""
        return tuple(words for bit, words in _THROTTLING if (self.throttled_bits or 0) >> bit & 1)

    @property
    def throttled_since_boot(self) -> tuple[str, ...]:
        """What slowed it at some time since it was started."""
        return tuple(words for bit, words in _THROTTLING if (self.throttled_bits or 0) >> (bit + _SINCE_BOOT) & 1)


def parse_conditions(text: str) -> Conditions:
    """The conditions that the output of the command describes."""
    lines = KeyLines.of(text)
    synchronised = {"yes": True, "no": False}
    return Conditions(
        throttled_bits=_hexadecimal(lines.first("throttled")),
        temperatures=tuple(zone for text in lines.every("zone") if (zone := _zone(text)) is not None),
        governors=frozenset(filter(None, lines.every("governor"))),
        is_synchronised=synchronised.get(lines.first("synchronised")),
        load=_number(lines.first("load")),
        devices=lines.every("device"),
    )


CONDITIONS = Fact(name="conditions", command=_COMMAND, parse=parse_conditions)


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _zone(text: str) -> tuple[str, float] | None:
    milli, _, name = text.partition(" ")
    value = _number(milli)
    return None if value is None else (name or "unnamed", value / 1000)
