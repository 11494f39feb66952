"""Network conditions: what the links of a cluster may be like at another time.

A probed link takes `fixed_seconds + bytes / bytes_per_second`; a condition changes the two, by factors or outright.
What changes the rate changes the rate that the link sustains alike.
Loss is told apart. A packet of 1,500 bytes is lost with probability p and sent again until it arrives, which keeps the
link busy for it again: the link sustains the share `1 - p` of its rate. What was lost is repaired while further packets
are under way, so that repairs keep no others off; but a lone message, of which all must arrive, waits a round trip
(twice the fixed time, at least 1 ms) for each: a byte of it takes `(1 / rate + p · round_trip / 1500) / (1 - p)`
seconds. So do links that `node_agent/dataplane/shaping.py` emulates, and ordered connections whose window holds what is
under way. A congestion control that takes losses for congestion sends less: one like Reno's sustains no more than some
`1.22 · 1460 / (round_trip · √p)` (Mathis et al., 1997); real links are probed rather than asked for losses.
Jitter moves no mean and is kept for simulations.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from partitioner.cluster import Cluster, Link
from partitioner.errors import PlanError

PROBED = "probed"
"""Name of the condition in which nothing changes."""
PACKET_BYTES = 1500
SHORTEST_ROUND_TRIP_SECONDS = 1e-3
SPREAD = 10.0
"""Up to so many times less or more than probed are random rates and delays."""

Direction = tuple[str, str]
"""(source, target)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCondition:
    """What becomes of a link. What is None stays as probed."""

    delay_seconds: float | None = None
    """Fixed time of a message, one way, in place of the probed one."""
    delay_factor: float | None = None
    """On the probed fixed time; not beside `delay_seconds`."""
    bytes_per_second: float | None = None
    rate_factor: float | None = None
    """On the probed rate; not beside `bytes_per_second`."""
    jitter_seconds: float | None = None
    """Standard deviation of the delay."""
    loss: float | None = None
    """Probability that a packet is lost, beside what the probe met."""

    def over(self, other: "LinkCondition") -> "LinkCondition":
        """This condition, and the other's where this one says nothing of delay, rate, jitter or loss."""
        says_delay = self.delay_seconds is not None or self.delay_factor is not None
        says_rate = self.bytes_per_second is not None or self.rate_factor is not None
        return LinkCondition(
            delay_seconds=self.delay_seconds if says_delay else other.delay_seconds,
            delay_factor=self.delay_factor if says_delay else other.delay_factor,
            bytes_per_second=self.bytes_per_second if says_rate else other.bytes_per_second,
            rate_factor=self.rate_factor if says_rate else other.rate_factor,
            jitter_seconds=other.jitter_seconds if self.jitter_seconds is None else self.jitter_seconds,
            loss=other.loss if self.loss is None else self.loss,
        )

    def apply(self, link: Link) -> Link:
        """The link under this condition."""
        fixed = link.fixed_seconds * (1.0 if self.delay_factor is None else self.delay_factor)
        fixed = fixed if self.delay_seconds is None else self.delay_seconds
        rates = link.bytes_per_second, link.busy_bytes_per_second
        if self.rate_factor is not None:
            rates = rates[0] * self.rate_factor, rates[1] * self.rate_factor
        if self.bytes_per_second is not None:
            rates = self.bytes_per_second, 0.0
        if self.loss:
            rates = _lone_rate(rates[0], self.loss, fixed), (rates[1] or rates[0]) * (1 - self.loss)
        return replace(
            link,
            fixed_seconds=fixed,
            bytes_per_second=rates[0],
            busy_bytes_per_second=rates[1],
            jitter_seconds=link.jitter_seconds if self.jitter_seconds is None else self.jitter_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCondition:
    """A state of the whole network."""

    name: str
    every_link: LinkCondition = LinkCondition()
    links: Mapping[Direction, LinkCondition] = field(default_factory=dict)
    """Of single links; where one says nothing, `every_link` holds."""


def apply_condition(cluster: Cluster, condition: NetworkCondition) -> Cluster:
    """The cluster under a condition. Links that are missing stay missing.

    Raises:
        PlanError: The condition names a link that the cluster lacks, or a figure is out of range; all are named.
    """
    faults = tuple(condition_faults(cluster, condition))
    if faults:
        raise PlanError(f"Condition {condition.name!r} does not fit {cluster.name!r}: {'; '.join(faults)}.")
    of_all, of_one = condition.every_link, condition.links
    links = tuple(of_one.get((link.source, link.target), of_all).over(of_all).apply(link) for link in cluster.links)
    return replace(cluster, links=links)


def condition_faults(cluster: Cluster, condition: NetworkCondition) -> Iterator[str]:
    """What is wrong with a condition for a cluster."""
    yield from _figure_faults("every link", condition.every_link)
    for direction, change in condition.links.items():
        where = " → ".join(direction)
        if direction not in cluster.link_of:
            yield f"there is no link {where}"
        yield from _figure_faults(where, change)


def random_conditions(
    cluster: Cluster, n_conditions: int, seed: int, *, rate_spread: float = SPREAD, delay_spread: float = SPREAD
) -> tuple[NetworkCondition, ...]:
    """Conditions around the probed links: every direction has factors on its rate and delay of its own.

    Factors are log-uniform in `1 / spread … spread`. Of one seed, more conditions begin with those of fewer.

    Raises:
        PlanError: A spread is below 1 or not finite, or the number is negative.
    """
    for name, spread in (("rate_spread", rate_spread), ("delay_spread", delay_spread)):
        if not 1.0 <= spread < math.inf:
            raise PlanError(f"{name} is {spread}: wanted 1 (as probed) or more.")
    if n_conditions < 0:
        raise PlanError(f"{n_conditions} random conditions were asked for: wanted 0 or more.")
    ends = np.log([rate_spread, delay_spread])
    conditions = []
    for number in range(n_conditions):
        factors = np.exp(np.random.default_rng([seed, number]).uniform(-ends, ends, (len(cluster.links), 2)))
        conditions.append(
            NetworkCondition(
                name=f"random-{number + 1:03}",
                links={
                    (link.source, link.target): LinkCondition(rate_factor=rate, delay_factor=delay)
                    for link, (rate, delay) in zip(cluster.links, factors.tolist(), strict=True)
                },
            )
        )
    return tuple(conditions)


def _lone_rate(bytes_per_second: float, loss: float, fixed_seconds: float) -> float:
    """At which a lone message passes that waits for its losses to be repaired."""
    round_trip = max(2 * fixed_seconds, SHORTEST_ROUND_TRIP_SECONDS)
    return (1 - loss) / (1 / bytes_per_second + loss * round_trip / PACKET_BYTES)


def _figure_faults(where: str, change: LinkCondition) -> Iterator[str]:
    for name in ("delay_seconds", "delay_factor", "jitter_seconds"):
        value = getattr(change, name)
        if value is not None and not 0 <= value < math.inf:
            yield f"{name} of {where} is {value}: wanted 0 or more"
    for name in ("bytes_per_second", "rate_factor"):
        value = getattr(change, name)
        if value is not None and not 0 < value < math.inf:
            yield f"{name} of {where} is {value}: wanted more than 0"
    if change.loss is not None and not 0 <= change.loss < 1:
        yield f"loss of {where} is {change.loss}: wanted 0 or more and below 1"
    for absolute, factor in (("delay_seconds", "delay_factor"), ("bytes_per_second", "rate_factor")):
        if getattr(change, absolute) is not None and getattr(change, factor) is not None:
            yield f"{where} has both {absolute} and {factor}: keep one"
