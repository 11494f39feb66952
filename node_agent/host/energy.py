"""Meters of energy: what the machine itself counts in joules, and the name of the meter that every figure carries.

Figures of different meters never stand on one axis. `rapl` counts the whole processor package, whoever uses it: two
nodes on one machine read the same joules, and memory, board and power supply are not in them. `nvml` counts the whole
graphics card, whoever uses it, and nothing of the machine around it.
"""

import logging
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_logger = logging.getLogger(__name__)

_ZONES = Path("sys/class/powercap")
_PACKAGE_ZONE = re.compile(r"intel-rapl:\d+")
"""Of Intel's and AMD's processors; deeper ones (`intel-rapl:0:0`) are parts of these."""

_GPU_PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")


class Counter(Protocol):
    """A counter of the machine."""

    @property
    def name(self) -> str:
        """How its figures are tagged."""

    @property
    def ranges(self) -> tuple[int, ...]:
        """After how many counts each part begins again at 0; 0 for one that never does."""

    @property
    def joules_per_count(self) -> float:
        """What one count of any part is."""

    def read(self) -> tuple[int, ...]:
        """What it shows now, a count for each of its parts.

        Raises:
            OSError: It cannot be read.
        """


class EnergyMeter:
    """Joules since it was made. Never falls. Thread-safe.

    A counter that begins again is followed once between two readings: a processor package of 200 W takes some
    20 minutes for a whole turn, and one that is read more rarely loses whole turns.
    """

    def __init__(self, counter: Counter) -> None:
        """Reads the counter for the first time.

        Raises:
            OSError: It cannot be read.
        """
        self.name = counter.name
        self._counter = counter
        self._lock = threading.Lock()
        self._last = counter.read()
        self._joules = 0.0
        self._is_lost = False

    def joules(self) -> float:
        """All joules so far; when the counter can be read no more, those up to then."""
        with self._lock:
            try:
                now = self._counter.read()
            except OSError as exc:
                if not self._is_lost:
                    _logger.warning("energy meter lost", extra={"meter": self.name, "reason": str(exc)})
                self._is_lost = True
                return self._joules
            counts = map(_advance, self._last, now, self._counter.ranges)
            self._joules += sum(counts) * self._counter.joules_per_count
            self._last = now
            return self._joules


def _advance(before: int, now: int, span: int) -> int:
    """Counts from `before` to `now`, of a counter that begins again after `span`; 0 where it was set back."""
    if now >= before:
        return now - before
    return max(0, now + span - before)


@dataclass(frozen=True, slots=True)
class RaplCounter:
    """Running average power limit: the processor packages of this machine, all cores and all processes together."""

    zones: tuple[Path, ...]
    ranges: tuple[int, ...]
    name: str = "rapl"
    joules_per_count: float = 1e-6

    def read(self) -> tuple[int, ...]:
        """Microjoules of each package; see `Counter`."""
        return tuple(_count_in(zone / "energy_uj") for zone in self.zones)


def find_rapl(system: Path = Path("/")) -> RaplCounter | None:
    """The counter of this machine's processor packages; None where there is none.

    Raises:
        OSError: It may not be read.
    """
    zones = tuple(sorted(path for path in (system / _ZONES).glob("intel-rapl:*") if _is_package(path)))
    return RaplCounter(zones, tuple(_count_in(zone / "max_energy_range_uj") for zone in zones)) if zones else None


def _is_package(zone: Path) -> bool:
    try:
        name = (zone / "name").read_text(encoding="ascii")
    except OSError:
        return False
    return _PACKAGE_ZONE.fullmatch(zone.name) is not None and name.startswith("package")


def _count_in(path: Path) -> int:
    text = path.read_text(encoding="ascii").strip()
    if not text.isdigit():
        raise OSError(f"{path} holds no count")
    return int(text)


class NvmlCounter:
    """The graphics card that the runtime uses, as NVIDIA's management library counts it."""

    name = "nvml"
    ranges = (0,)
    joules_per_count = 1e-3

    def __init__(self, library: Any, card: str) -> None:
        """Finds the card.

        Args:
            library: `pynvml`, or what has its functions.
            card: Its number or its UUID.

        Raises:
            OSError: There is no such card.
        """
        self._library = library
        try:
            library.nvmlInit()
            is_number = card.isdigit()
            find = library.nvmlDeviceGetHandleByIndex if is_number else library.nvmlDeviceGetHandleByUUID
            self._card = find(int(card) if is_number else card)
        except library.NVMLError as exc:
            raise OSError(f"NVML does not find graphics card {card!r}: {exc}") from exc

    def read(self) -> tuple[int, ...]:
        """Millijoules since the driver was loaded; see `Counter`."""
        try:
            return (int(self._library.nvmlDeviceGetTotalEnergyConsumption(self._card)),)
        except self._library.NVMLError as exc:
            raise OSError(f"NVML cannot read the energy: {exc}") from exc


def find_nvml(visible: str) -> NvmlCounter | None:
    """The counter of the first graphics card that CUDA may use; None without `nvidia-ml-py`.

    Args:
        visible: As in `CUDA_VISIBLE_DEVICES`, numbers or UUIDs.

    Raises:
        OSError: There is no such card.
    """
    try:
        import pynvml  # noqa: PLC0415 - only nodes with a graphics card have it
    except ImportError:
        return None
    return NvmlCounter(pynvml, visible.partition(",")[0].strip() or "0")


def find_meter(providers: Sequence[str], system: Path = Path("/")) -> EnergyMeter | None:
    """The meter of what computes here: the graphics card's where one is in use, else the processor's.

    Returns:
        None where there is no meter, or it cannot be read: many systems let only root read `rapl`, and older cards
        count no energy.
    """
    uses_card = any(provider in _GPU_PROVIDERS for provider in providers)
    try:
        counter = find_nvml(os.environ.get("CUDA_VISIBLE_DEVICES", "")) if uses_card else find_rapl(system)
        return EnergyMeter(counter) if counter else None
    except OSError as exc:
        _logger.info("no energy meter", extra={"reason": str(exc)})
        return None
