"""Whether a network condition is in force: links of a plan, probed before each run and held against what was asked."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from coordinator.config.quantities import duration_text, rate_text
from coordinator.fleet import Fleet
from coordinator.link_probe import link_probe
from coordinator.results.values import LinkFound
from coordinator.sweep.emulated import Extent
from node_agent.messages import LinkEmulation
from partitioner.cluster import CLIENT, Link
from partitioner.plan import Plan
from partitioner.search.robust.network import Direction

N_ROUND_TRIPS = 3
N_IN_A_ROW = 4
ROW_SECONDS = 0.1
"""About so long a row of messages keeps a link busy."""
ROW_BYTES = (16 << 10, 4 << 20)
"""Of all messages of a row together: at least, and at most."""
SLACK_SECONDS = 0.01
"""That a busy machine may add to a round trip."""
TOLERANCE = 0.1
"""Of a round trip that is too short, or a rate that is too high: no machine is that much faster by chance."""
SLOWER_TOLERANCE = 0.35
"""Of a round trip that is too long, or a rate that is too low."""

_NO_EMULATION = LinkEmulation()


def links_of(plan: Plan) -> tuple[Direction, ...]:
    """(source, target) of all links that a plan uses, each once, in the order of the flow."""
    places = [(CLIENT,), *(stage.devices for stage in plan.stages), (CLIENT,)]
    return tuple(
        dict.fromkeys((source, target) for ends in pairwise(places) for source in ends[0] for target in ends[1])
    )


def find_links(fleet: Fleet, directions: Sequence[Direction]) -> tuple[LinkFound, ...]:
    """What links are found to be now, beside what their senders were told; on average where that changes.

    All are probed side by side: where delays and rates are emulated nearly all of the time is waiting.

    Raises:
        NodeError: A node could not be reached.
    """
    with ThreadPoolExecutor(max_workers=max(len(directions), 1)) as pool:
        return tuple(pool.map(lambda direction: _find_link(fleet, direction), directions))


def _find_link(fleet: Fleet, direction: Direction) -> LinkFound:
    source, target = direction
    asked = fleet.config.link_emulation(source, target) or _NO_EMULATION
    back = fleet.config.link_emulation(target, source) or _NO_EMULATION
    round_trip, rate = Extent.of(asked).mean_delay + Extent.of(back).mean_delay, Extent.of(asked).mean_rate
    probe = link_probe(fleet, source, target)
    alone = probe((0,), N_ROUND_TRIPS, 1)
    found_round_trip = statistics.median(sample.round_trip_seconds for sample in alone)
    row_bytes = min(max(int((rate or ROW_BYTES[1]) * ROW_SECONDS), ROW_BYTES[0]), ROW_BYTES[1])
    row = probe((row_bytes // N_IN_A_ROW,), 1, N_IN_A_ROW)
    shortest = min(sample.round_trip_seconds for sample in alone)
    busy = max(row[0].round_trip_seconds - shortest, 1e-9)
    return LinkFound(
        source=source,
        target=target,
        round_trip_seconds=found_round_trip,
        bytes_per_second=row[0].n_bytes * N_IN_A_ROW / busy,
        asked_round_trip_seconds=round_trip or None,
        asked_bytes_per_second=rate or None,
    )


def doubts_about(
    found: Sequence[LinkFound], bare: Mapping[Direction, Link], asked: Mapping[Direction, LinkEmulation]
) -> Iterator[str]:
    """Why a condition is not in force, a sentence for each link that is not as asked; nothing where it is.

    Args:
        found: By `find_links`.
        bare: Of each direction and the one back, without emulation.
        asked: What the sender of each direction, and of the one back, was told; those that were told nothing are left
            out.
    """
    for link in found:
        there, back = (link.source, link.target), (link.target, link.source)
        emulations = [asked.get(way, _NO_EMULATION) for way in (there, back)]
        where = f"{link.source} → {link.target}"
        if link.asked_round_trip_seconds and link.round_trip_seconds is not None:
            jitter = 3 * sum(emulation.jitter_seconds**2 for emulation in emulations) ** 0.5
            own = 2 * bare[there].fixed_seconds
            repeats = 1 + 2 * max(emulation.loss for emulation in emulations)
            extents = [Extent.of(emulation) for emulation in emulations]
            least, most = sum(each.least_delay for each in extents), sum(each.most_delay for each in extents)
            low = least * (1 - TOLERANCE) - jitter
            high = (most * (1 + SLOWER_TOLERANCE) + own) * repeats + SLACK_SECONDS + jitter
            if not low <= link.round_trip_seconds <= high:
                wanted, came = duration_text(link.asked_round_trip_seconds), duration_text(link.round_trip_seconds)
                yield f"the round trip {where} takes {came}, asked were {wanted}"
        if link.asked_bytes_per_second and link.bytes_per_second is not None:
            low, high = _believable_rates(emulations[0], bare[there])
            if not low <= link.bytes_per_second <= high:
                wanted, came = rate_text(link.asked_bytes_per_second), rate_text(link.bytes_per_second)
                yield f"{where} carries {came}, asked were {wanted}"


def _believable_rates(emulation: LinkEmulation, bare: Link) -> tuple[float, float]:
    """Jitter and a lost packet lengthen, or shorten, the time of a row by as much as if it were its own."""
    asked = Extent.of(emulation)
    row_seconds = min(max(asked.mean_rate * ROW_SECONDS, ROW_BYTES[0]), ROW_BYTES[1]) / asked.mean_rate
    disturbance = 3 * emulation.jitter_seconds + asked.most_delay - asked.least_delay
    slowed = 1 / (1 / asked.least_rate + 1 / bare.sustained_bytes_per_second)
    low = slowed * (1 - SLOWER_TOLERANCE) * row_seconds / (row_seconds + SLACK_SECONDS + disturbance)
    high = (
        asked.most_rate
        * (1 + TOLERANCE)
        * row_seconds
        / max(row_seconds - disturbance - SLACK_SECONDS / 2, 0.05 * row_seconds)
    )
    if emulation.loss:
        low = 0.0
    return low, high


def delivery_doubt(
    latency_seconds: float, compute_seconds: float, asked: Sequence[LinkEmulation], sent_bytes: Sequence[int]
) -> str | None:
    """Why the streams of the plan itself were not under the condition: a lone request was faster than it allows.

    Args:
        latency_seconds: Of a lone request, median.
        compute_seconds: Of all stages together.
        asked: What the sender of each hop was told.
        sent_bytes: By each hop.
    """
    extents = [Extent.of(emulation) for emulation in asked]
    jitters = (emulation.jitter_seconds for emulation in asked)
    delays = sum(max(0.0, each.least_delay - jitter) for each, jitter in zip(extents, jitters, strict=True))
    rates = (each.most_rate for each in extents)
    sending = sum(n_bytes / rate for rate, n_bytes in zip(rates, sent_bytes, strict=True) if rate)
    least = compute_seconds + (delays + sending) * (1 - TOLERANCE)
    if latency_seconds >= least:
        return None
    return f"a request took {duration_text(latency_seconds)}, but under this condition {duration_text(least)} at least"
