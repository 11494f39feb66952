"""Network conditions by name, each with where its figures come from.

Delays are one way, for every link in both directions: a round trip takes twice as long. Rates are what a transfer
sustains, not what is printed on the box.
"""

from dataclasses import dataclass

from partitioner.search.robust.network import LinkCondition, NetworkCondition

AS_IS = "as-is"
"""The condition in which every link stays as the cluster's description, or the real network, has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProfile:
    """A kind of network that many people have."""

    link: LinkCondition
    source: str
    """Of the figures, in one line."""


def _link(delay_ms: float, mbit: float, jitter_ms: float = 0.0, loss_percent: float = 0.0) -> LinkCondition:
    return LinkCondition(
        delay_seconds=delay_ms / 1e3,
        bytes_per_second=mbit * 1e6 / 8,
        jitter_seconds=jitter_ms / 1e3 or None,
        loss=loss_percent / 100 or None,
    )


PROFILES = {
    "gigabit-lan": NetworkProfile(
        link=_link(0.1, 940),
        source="1 Gbit/s Ethernet: 1460 of each 1538 bytes on the wire are TCP payload; a switch adds below 0.1 ms",
    ),
    "fast-ethernet": NetworkProfile(
        link=_link(0.2, 94),
        source="100 Mbit/s Ethernet (Raspberry Pi 3 and older): the same share of payload as above",
    ),
    "wifi-good": NetworkProfile(
        link=_link(2, 200, jitter_ms=1),
        source="802.11ac, 80 MHz, one stream, near the access point: about half of 433 Mbit/s PHY rate is TCP goodput",
    ),
    "wifi-poor": NetworkProfile(
        link=_link(15, 10, jitter_ms=8, loss_percent=1),
        source="802.11n, 20 MHz, two walls away: MCS 0-1 (6.5-13 Mbit/s PHY), retries seen as jitter; an assumption",
    ),
    "lte": NetworkProfile(
        link=_link(25, 30, jitter_ms=8, loss_percent=0.1),
        source="Huang et al., MobiSys 2012 (4G LTE): 70 ms median RTT, 13/6 Mbit/s; since doubled by aggregation",
    ),
    "5g": NetworkProfile(
        link=_link(10, 200, jitter_ms=4),
        source="Narayanan et al., WWW 2020 (commercial 5G): round trips near 20 ms, low-band rates of 100-300 Mbit/s",
    ),
    "3g": NetworkProfile(
        link=_link(75, 1.6, jitter_ms=20, loss_percent=0.5),
        source="`Regular 3G` of WebPageTest: 300 ms round trip and 1.6 Mbit/s down, here 150 ms for a nearer server",
    ),
    "paper-degraded": NetworkProfile(
        link=_link(200, 5),
        source="arXiv 2601.08025: `netem delay 200ms`, `tbf rate 5mbit burst 32kbit latency 400ms`",
    ),
}
"""By name. `paper-degraded` leaves out the burst of 4 kB, which is 6 ms at this rate, and tbf's queue limit, since a
sender here waits instead of dropping."""


def profile_condition(name: str) -> NetworkCondition:
    """The condition of a known name."""
    return NetworkCondition(name=name, every_link=LinkCondition() if name == AS_IS else PROFILES[name].link)
