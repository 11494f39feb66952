from types import SimpleNamespace

import pytest
from system_tree import write_system

from node_agent.host.energy import EnergyMeter, NvmlCounter, find_meter, find_rapl

ZONES = "sys/class/powercap"
CPU = ("CPUExecutionProvider",)


def zone(name, kind, microjoules, span=262143328850):
    folder = f"{ZONES}/{name}"
    return {f"{folder}/name": kind, f"{folder}/energy_uj": microjoules, f"{folder}/max_energy_range_uj": span}


@pytest.fixture
def system(tmp_path):
    """Two packages and what is no package of its own."""
    zones = [
        zone("intel-rapl:0", "package-0", 1_000_000),
        zone("intel-rapl:0:0", "core", 500_000),
        zone("intel-rapl:0:1", "dram", 100_000),
        zone("intel-rapl:1", "package-1", 7_000_000, span=10_000_000),
        zone("intel-rapl:2", "psys", 9_000_000),
        zone("intel-rapl-mmio:0", "package-0", 1_000_000),
    ]
    for files in zones:
        write_system(tmp_path, files)
    write_system(tmp_path, {f"{ZONES}/intel-rapl/enabled": 1})
    return tmp_path


def test_packages_are_counted_and_their_parts_are_not(system):
    meter = find_meter(CPU, system)
    assert (meter.name, meter.joules()) == ("rapl", 0.0)
    write_system(system, zone("intel-rapl:0", "package-0", 3_500_000))
    write_system(system, zone("intel-rapl:0:0", "core", 9_500_000))
    write_system(system, zone("intel-rapl:2", "psys", 99_000_000))
    assert meter.joules() == pytest.approx(2.5)
    assert meter.joules() == pytest.approx(2.5)


def test_a_package_that_begins_again_is_followed(system):
    meter = find_meter(CPU, system)
    for microjoules, joules in ((9_000_000, 2.0), (1_000_000, 4.0), (9_999_999, 12.999999), (0, 13.0), (500_000, 13.5)):
        write_system(system, zone("intel-rapl:1", "package-1", microjoules, span=10_000_000))
        assert meter.joules() == pytest.approx(joules)


def test_what_only_root_may_read_is_no_meter(system):
    (system / ZONES / "intel-rapl:1" / "energy_uj").unlink()
    (system / ZONES / "intel-rapl:1" / "energy_uj").mkdir()  # unreadable for root, too
    assert find_meter(CPU, system) is None


def test_a_file_without_a_count_is_no_meter(system):
    write_system(system, {f"{ZONES}/intel-rapl:0/energy_uj": "oops"})
    assert find_meter(CPU, system) is None


def test_a_machine_without_packages_has_no_meter(tmp_path):
    assert find_rapl(tmp_path) is None
    assert find_meter(CPU, tmp_path) is None
    write_system(tmp_path, zone("intel-rapl:0", "psys", 5))
    assert find_meter(CPU, tmp_path) is None


def test_a_meter_that_is_lost_stands_still_and_is_told_once(system, caplog):
    meter = find_meter(CPU, system)
    write_system(system, zone("intel-rapl:0", "package-0", 2_000_000))
    assert meter.joules() == pytest.approx(1.0)
    path = system / ZONES / "intel-rapl:0" / "energy_uj"
    path.rename(path.with_name("away"))
    assert meter.joules() == meter.joules() == pytest.approx(1.0)
    assert [record.getMessage() for record in caplog.records] == ["energy meter lost"]
    path.with_name("away").write_text("2500000")
    path.with_name("away").rename(path)
    assert meter.joules() == pytest.approx(1.5)


class NvmlError(Exception):
    pass


class FakeNvml:
    """As much of `pynvml` as a counter needs."""

    NVMLError = NvmlError

    def __init__(self, **millijoules):
        self.millijoules = millijoules

    def nvmlInit(self):  # noqa: N802 - its name there
        if not self.millijoules:
            raise NvmlError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802 - its name there
        return self.nvmlDeviceGetHandleByUUID(f"GPU{index}")

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802 - its name there
        if name not in self.millijoules:
            raise NvmlError("Not Found")
        return SimpleNamespace(name=name)

    def nvmlDeviceGetTotalEnergyConsumption(self, card):  # noqa: N802 - its name there
        return self.millijoules[card.name]


@pytest.mark.parametrize("card", ["1", "GPU1"])
def test_a_graphics_card_is_counted_by_its_number_or_name(card):
    library = FakeNvml(GPU0=5, GPU1=4000)
    meter = EnergyMeter(NvmlCounter(library, card))
    library.millijoules |= {"GPU0": 10**6, "GPU1": 6500}
    assert (meter.name, meter.joules()) == ("nvml", pytest.approx(2.5))


def test_a_driver_that_is_loaded_again_takes_no_joules_back():
    library = FakeNvml(GPU0=4000)
    meter = EnergyMeter(NvmlCounter(library, "0"))
    for millijoules, joules in ((5000, 1.0), (100, 1.0), (1100, 2.0)):
        library.millijoules["GPU0"] = millijoules
        assert meter.joules() == pytest.approx(joules)


def test_a_card_that_is_not_there_is_named():
    with pytest.raises(OSError, match=r"does not find graphics card '3': Not Found"):
        NvmlCounter(FakeNvml(GPU0=1), "3")
    with pytest.raises(OSError, match="Driver Not Loaded"):
        NvmlCounter(FakeNvml(), "0")


def test_a_node_on_a_graphics_card_never_takes_the_processors_joules_for_its_own(system, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-of-no-machine")
    assert find_meter(("CUDAExecutionProvider", "CPUExecutionProvider"), system) is None
