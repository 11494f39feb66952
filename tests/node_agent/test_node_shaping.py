import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.dataplane.shaping import PACKET_BYTES, ShapedLink, faults_of, is_emulated
from node_agent.dataplane.trace import LinkTrace
from node_agent.messages import LinkEmulation, LinkStep


def test_a_message_keeps_the_link_for_its_bytes_and_arrives_a_delay_later():
    link = ShapedLink(LinkEmulation(delay_seconds=0.05, bytes_per_second=1000))
    passage = link.schedule(10.0, 500)
    assert (passage.start_at, passage.free_at, passage.arrive_at) == pytest.approx((10.0, 10.5, 10.55))
    assert passage.busy_seconds == pytest.approx(0.5)


def test_messages_queue_for_the_link_but_their_delays_overlap():
    link = ShapedLink(LinkEmulation(delay_seconds=1.0, bytes_per_second=100))
    arrivals = [link.schedule(0.0, 10).arrive_at for _ in range(5)]
    assert arrivals == pytest.approx([1.1, 1.2, 1.3, 1.4, 1.5])


def test_an_idle_link_starts_at_once():
    link = ShapedLink(LinkEmulation(bytes_per_second=100))
    link.schedule(0.0, 100)
    assert link.schedule(5.0, 100).start_at == 5.0


def test_without_a_rate_a_message_takes_no_time():
    assert ShapedLink(LinkEmulation(delay_seconds=0.2)).schedule(1.0, 10**9).arrive_at == pytest.approx(1.2)


def test_jitter_keeps_order_and_has_its_deviation():
    link = ShapedLink(LinkEmulation(delay_seconds=0.1, jitter_seconds=0.01, seed=3))
    passages = [link.schedule(now, 100) for now in range(2000)]
    delays = [passage.arrive_at - passage.start_at for passage in passages]
    assert statistics.mean(delays) == pytest.approx(0.1, rel=0.02)
    assert statistics.stdev(delays) == pytest.approx(0.01, rel=0.1)
    close = ShapedLink(LinkEmulation(delay_seconds=0.1, jitter_seconds=0.05, seed=3))
    arrivals = [close.schedule(now / 1000, 100).arrive_at for now in range(2000)]
    assert arrivals == sorted(arrivals)


def test_jitter_never_makes_a_message_arrive_before_it_was_sent():
    link = ShapedLink(LinkEmulation(jitter_seconds=0.1, seed=1))
    assert all((passage := link.schedule(now, 1)).arrive_at >= passage.free_at for now in range(500))


def test_a_lost_packet_costs_a_round_trip_and_its_bytes_again():
    emulation = LinkEmulation(delay_seconds=0.02, bytes_per_second=1e6, loss=0.3, seed=5)
    link = ShapedLink(emulation)
    n_bytes = 4 * PACKET_BYTES
    seen = set()
    for now in range(300):
        passage = link.schedule(now, n_bytes)
        n_lost = round((passage.busy_seconds * 1e6 - n_bytes) / PACKET_BYTES)
        seen.add(n_lost)
        assert passage.arrive_at - passage.free_at == pytest.approx(0.02 + n_lost * 0.04)
    assert 0 in seen
    assert max(seen) > 2


def test_loss_has_its_expectation():
    link = ShapedLink(LinkEmulation(bytes_per_second=1e6, loss=0.1, seed=5))
    busy = statistics.mean(link.schedule(now, 100 * PACKET_BYTES).busy_seconds for now in range(500))
    assert busy == pytest.approx(100 * PACKET_BYTES / 1e6 / 0.9, rel=0.02)


def test_the_seed_decides():
    emulation = LinkEmulation(delay_seconds=0.1, jitter_seconds=0.01, loss=0.1, seed=9)
    first, second = ShapedLink(emulation), ShapedLink(emulation)
    assert [first.schedule(now, 9000) for now in range(50)] == [second.schedule(now, 9000) for now in range(50)]


def test_nothing_set_emulates_nothing():
    assert not is_emulated(None)
    assert not is_emulated(LinkEmulation(seed=4))
    assert is_emulated(LinkEmulation(loss=0.1))


def test_all_faults_of_an_emulation_are_named():
    faults = faults_of(LinkEmulation(delay_seconds=-1, jitter_seconds=float("nan"), bytes_per_second=-2, loss=1))
    assert len(faults) == 4
    assert faults_of(LinkEmulation(loss=0.99)) == ()


@pytest.mark.parametrize(
    "emulation",
    [
        LinkEmulation(delay_seconds=1e9),
        LinkEmulation(jitter_seconds=float("inf")),
        LinkEmulation(bytes_per_second=1e-300),
        LinkEmulation(loss=1 - 2**-53),
    ],
    ids=str,
)
def test_an_emulation_that_would_never_end_is_refused(emulation):
    assert len(faults_of(emulation)) == 1


STEPS = (LinkStep(seconds=1.0, bytes_per_second=1000, delay_seconds=0.1), LinkStep(seconds=2.0, bytes_per_second=100))


def test_a_link_that_changes_sends_on_at_the_new_rate_and_begins_again():
    link = ShapedLink(LinkEmulation(steps=STEPS))
    first = link.schedule(10.0, 500)
    assert (first.free_at, first.arrive_at) == pytest.approx((10.5, 10.6))
    second = link.schedule(10.5, 600)  # half a second at 1000, then a second at 100
    assert (second.free_at, second.arrive_at) == pytest.approx((12.0, 12.0))
    third = link.schedule(12.0, 100 + 1000 + 200 + 500)  # the rest of the second step, a whole round, half a step
    assert (third.free_at, third.arrive_at) == pytest.approx((16.5, 16.6))


@given(
    rates=st.lists(st.floats(100, 1e6), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=5),
    moment=st.floats(0, 100),
)
def test_sending_in_parts_takes_as_long_as_at_once(rates, sizes, moment):
    trace = LinkTrace([LinkStep(seconds=0.5 + index, bytes_per_second=rate) for index, rate in enumerate(rates)])
    parts = moment
    for size in sizes:
        parts += trace.sending_seconds(parts, size)
    assert parts - moment == pytest.approx(trace.sending_seconds(moment, sum(sizes)), rel=1e-6, abs=1e-6)


def test_every_fault_of_a_step_is_told():
    bad = LinkStep(seconds=0, bytes_per_second=0, delay_seconds=-1)
    assert len(faults_of(LinkEmulation(steps=(bad, bad)))) == 3
    assert faults_of(LinkEmulation(steps=STEPS)) == ()
    assert len(faults_of(LinkEmulation(steps=STEPS * 600))) == 1
    assert is_emulated(LinkEmulation(steps=STEPS))
