"""How warm the processor is, and whether heat or power has slowed it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_ZONE = re.compile(r"cpu|soc|x86_pkg_temp", re.IGNORECASE)
"""Kinds of thermal zones that are the processor's."""

_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
"""Names of processor sensors; for machines without such a zone."""

_RASPBERRY_PI = Path("sys/devices/platform/soc/soc:firmware/get_throttled")
"""Bits 0 to 3 say what holds now: under-voltage, frequency capped, throttled, temperature limit."""

_BELIEVABLE_CELSIUS = (0.0, 200.0)
"""Zones without a sensor say -274 or other nonsense."""

_WARM_CELSIUS = 60.0
_HOT_CELSIUS = 80.0


def temperature_celsius(system: Path = Path("/")) -> float:
    """Of the hottest zone of the processor; 0 where it cannot be known."""
    return max(_zones(system), default=0.0) or max(_sensors(system), default=0.0)


def _zones(system: Path) -> Iterator[float]:
    for zone in (system / "sys/class/thermal").glob("thermal_zone*"):
        if _ZONE.search(_text_of(zone / "type")):
            yield from _celsius(_text_of(zone / "temp"))


def _sensors(system: Path) -> Iterator[float]:
    for sensor in (system / "sys/class/hwmon").glob("hwmon*"):
        if _text_of(sensor / "name") in _SENSORS:
            for path in sensor.glob("temp*_input"):
                yield from _celsius(_text_of(path))


def _celsius(text: str) -> Iterator[float]:
    """The temperature that is given in thousandths of a degree, where it is one."""
    low, high = _BELIEVABLE_CELSIUS
    if re.fullmatch(r"-?\d+", text) and low < int(text) / 1000 < high:
        yield int(text) / 1000


def temperature_class(celsius: float) -> str:
    """`cool` below 60 °C, `warm` below 80 °C, `hot` above; empty for 0, which is unknown."""
    if celsius == 0:
        return ""
    if celsius < _WARM_CELSIUS:
        return "cool"
    return "warm" if celsius < _HOT_CELSIUS else "hot"


def throttle_counts(cores: Iterable[int], system: Path = Path("/")) -> dict[str, int]:
    """How often the kernel has seen heat slow `cores` since it started, by file; empty where it does not count."""
    counts = {}
    for core in cores:
        for path in (system / f"sys/devices/system/cpu/cpu{core}/thermal_throttle").glob("*_count"):
            text = _text_of(path)
            if text.isdigit():
                counts[f"cpu{core}/{path.name}"] = int(text)
    return counts


def has_risen(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether any count has grown; a core that was off before has nothing to be compared with."""
    return any(count > before[name] for name, count in now.items() if name in before)


def is_throttled(system: Path = Path("/")) -> bool:
    """Whether a Raspberry Pi says that power or temperature hold its processor back now."""
    try:
        return bool(int(_text_of(system / _RASPBERRY_PI), 16) & 0xF)
    except ValueError:
        return False


def _text_of(path: Path) -> str:
    """The text of a file; empty where it cannot be read: zones without a sensor refuse."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
