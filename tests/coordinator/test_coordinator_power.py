"""Power by a node's meter, read around its profile, and what becomes of it in energies."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from prediction_builders import N_UNITS, chain_model

from coordinator.profiling import merge_profiles, with_measured_power
from coordinator.profiling.effort import ProfileEffort
from coordinator.profiling.power import PowerReader
from coordinator.profiling.timing import SpanTimer
from coordinator.report.objective_space import objective_space
from coordinator.report.profiling_table import profiling_table
from coordinator.report.tables import front_table
from coordinator.report.text import power_words
from node_agent.host.energy import find_meter
from node_agent.messages import ProfileProgress, SegmentSamples
from partitioner.plan import Stage
from partitioner.profile import DevicePower
from partitioner.search import search
from partitioner.search.building import build_problem
from partitioner.search.problem import BOTTLENECK, ENERGY, LATENCY
from partitioner.shard import Shard

ZONE = "sys/class/powercap/intel-rapl:0"
IDLE, OPENING, TIMING = 4.0, 11.0, 19.0


class MeteredNode:
    """A machine in made-up time whose processor counts joules under a made-up `/sys`; a node on it."""

    def __init__(self, system, *, has_meter=True):
        self.now = 100.0
        self._microjoules = 5_000_000
        self._zone = system / ZONE
        if has_meter:
            self._zone.mkdir(parents=True)
            (self._zone / "name").write_text("package-0")
            (self._zone / "max_energy_range_uj").write_text(str(10**12))
        self._has_meter = has_meter
        self.spend(0.0, IDLE)
        self._meter = find_meter(("CPUExecutionProvider",), system)
        self.n_readings = 0

    def spend(self, seconds, watts):
        self.now += seconds
        self._microjoules += round(seconds * watts * 1e6)
        if self._has_meter:
            (self._zone / "energy_uj").write_text(str(self._microjoules))

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.spend(seconds, IDLE)

    def status(self):
        self.n_readings += 1
        return SimpleNamespace(joules=self._meter.joules())

    def missing_blobs(self, _blobs):
        return ()

    def profile(self, request):
        """Two groups of segments: each is opened, then timed in rounds of 0.3 s."""
        for segments in (request.segments[:1], request.segments[1:]):
            for segment in segments:
                self.spend(2.0, OPENING)
                yield ProfileProgress(n_done=0, n_total=1, what=f"opened {segment.name}")
            for _ in range(20):
                self.spend(0.3, TIMING)
                for segment in segments:
                    yield SegmentSamples(name=segment.name, seconds=(0.1,), session_seconds=2.0, memory_bytes=1)
                yield ProfileProgress(n_done=1, n_total=1, what="timed")


def reader(node, meter="rapl"):
    return PowerReader(node, meter, clock=node.clock, sleep=node.sleep)


def timer(node, **described):
    description = SimpleNamespace(energy_meter=described.pop("meter", "rapl"))
    connected = SimpleNamespace(name="pi", client=node, description=description, is_paced=False, **described)

    def cut(start, stop):
        return Shard(start=start, stop=stop, graph=b"", sha256=f"{start}{stop}", blobs=(), receives=(), sends=())

    made = SpanTimer(connected, SimpleNamespace(cut=cut), ProfileEffort(), lambda *_: None)
    made.power = reader(node, description.energy_meter)
    return made


def test_idle_power_is_read_in_quiet_and_active_power_while_segments_are_timed(tmp_path):
    node = MeteredNode(tmp_path)
    made = timer(node)
    made.time([(0, 1), (1, 2), (0, 2)], budget_seconds=1, n_rounds=1)
    power = made.power.power
    assert power.meter == "rapl"
    assert power.idle_watts == pytest.approx(IDLE)
    assert power.active_watts == pytest.approx(TIMING)
    assert 8 < power.seconds < 12
    assert node.n_readings <= 14
    n_before, began = node.n_readings, node.now
    made.power.watch_quiet()
    assert (node.n_readings, node.now) == (n_before, began)


def test_without_a_meter_nothing_is_asked_or_waited_for(tmp_path):
    node = MeteredNode(tmp_path, has_meter=False)
    made = timer(node, meter="")
    made.time([(0, 1), (1, 2)], budget_seconds=1, n_rounds=1)
    assert (made.power.power, node.n_readings) == (None, 0)


def test_a_paced_node_is_not_measured_and_timing_too_short_tells_nothing(tmp_path):
    node = MeteredNode(tmp_path)
    description = SimpleNamespace(energy_meter="rapl")
    paced = PowerReader.of(SimpleNamespace(client=node, description=description, is_paced=True))
    paced.watch_quiet()
    paced.note(is_timing=True)
    assert (paced.power, node.n_readings) == (None, 0)
    short = reader(node)
    short.watch_quiet()
    short.note(is_timing=True)
    node.spend(0.5, TIMING)
    short.note(is_timing=True)
    assert short.power is None


def fleet(*sources):
    """Devices whose power was given; of some a meter read it as well."""
    model = chain_model()
    given = (replace(device, active_watts=6.0, idle_watts=2.0) for device in model.cluster.devices)
    power = DevicePower(meter="rapl", idle_watts=4.0, active_watts=19.0, seconds=3.0)
    devices = (replace(one, power=power if one.device in sources else None) for one in model.profile.devices)
    profile = replace(model.profile, devices=tuple(devices))
    cluster = with_measured_power(replace(model.cluster, devices=tuple(given)), profile)
    return replace(model, cluster=cluster, profile=profile)


def test_what_a_meter_read_takes_the_place_of_what_was_given():
    model = fleet("b")
    a, b, _ = model.cluster.devices
    assert (a.idle_watts, a.active_watts, a.power_source) == (2.0, 6.0, "given")
    assert (b.idle_watts, b.active_watts, b.power_source) == (4.0, 19.0, "measured (rapl)")
    cost = model.candidate((Stage(device="a", start=0, stop=4), Stage(device="b", start=4, stop=N_UNITS))).cost
    assert cost.energy_joules == pytest.approx(6.0 * 0.016 + 19.0 * 0.008, rel=0.01)
    assert [stage.power_source for stage in cost.stages] == ["given", "measured (rapl)"]
    again = replace(model.profile, devices=tuple(replace(one, power=None) for one in model.profile.devices))
    assert merge_profiles(model.profile, again).devices[1].power == model.profile.devices[1].power


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ((), "modelled, power given"),
        (("a", "b", "c"), "power measured (rapl)"),
        (("a",), "power of unlike sources: given, measured (rapl)"),
    ],
)
def test_energies_say_where_their_power_comes_from(sources, words):
    model = fleet(*sources)
    result = search(build_problem(model, objectives=(LATENCY, BOTTLENECK, ENERGY)))
    assert power_words(candidate.cost for candidate in (*result.front, *result.dominated)) == words
    told = power_words(candidate.cost for candidate in result.front)
    assert f"energy: {told}" in front_table(result, model.graph, None).caption.plain
    assert objective_space(result).objectives[2].title == f"energy, {told} (J)"
    assert "measured" not in words or sources
    plain = search(build_problem(model))
    assert "power" not in front_table(plain, model.graph, None).caption.plain


def test_the_table_of_a_profile_shows_power_where_a_meter_was():
    metered, plain = profiling_table(fleet("b").profile), profiling_table(fleet().profile)
    assert metered.columns[-1].header == "idle, active power"
    assert [cell.plain for cell in metered.columns[-1].cells][1] == "4.00 W, 19.0 W, measured (rapl)"
    assert plain.columns[-1].header == "noisiest segment"
