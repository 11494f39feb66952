"""Stages that are tried together: timed one request at a time, and under load."""

import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from coordinator.guest import WINDOW, Guest
from coordinator.pipeline import Answer
from coordinator.shared_cores import shared_processors

N_WARM_UP = 2
MIN_REQUESTS = 5
"""Of each visit, one by one and under load alike, however long they take."""
MIN_TOGETHER = 10
"""Of stages that share a core: they finish in bunches, of which a few tell little."""
REST_SPREAD = (0.5, 1.5)
"""Of the rest before a lone request, drawn anew each time, so that none falls into step with anything."""
STARVED_SHARE = 0.2
"""A stage at which requests wait for a smaller share of its period had nothing to do: its link was the bottleneck."""


class LiveTrial:
    """Stages of a company that are deployed."""

    def __init__(self, groups: Sequence[Sequence[Guest]], rest_seconds: float, seed: int) -> None:
        self._groups = groups
        self._guests = [guest for group in groups for guest in group]
        self._rest_seconds = rest_seconds
        self._draw = random.Random(seed)  # noqa: S311 - rests, not secrets
        for _ in range(N_WARM_UP):
            for guest in self._guests:
                guest.answer()

    def time_lone(self, *, seconds: float, n_least: int = MIN_REQUESTS) -> None:
        """Times one request after another, and a probe beside each; the first of each finds caches cold: uncounted.

        Args:
            seconds: For all stages together.
            n_least: Requests for each stage, however long they take.

        Raises:
            NodeError: A node failed.
        """
        for guest in self._guests:
            guest.answer()
            guest.hop_seconds()
        n_rounds, ends_at = 0, time.perf_counter() + seconds
        while n_rounds < n_least or time.perf_counter() < ends_at:
            for guest in self._guests:
                self._rest()
                answer = guest.answer()
                self._rest()
                guest.take(answer, guest.hop_seconds())
            n_rounds += 1

    def _rest(self) -> None:
        time.sleep(self._rest_seconds * self._draw.uniform(*REST_SPREAD))

    @property
    def n_loads(self) -> int:
        """How often stages are under load in a visit: each group, and all together where there are several."""
        return len(self._groups) + (len(self._groups) > 1)

    def time_loaded(self, *, seconds: float, n_least: int = MIN_REQUESTS) -> None:
        """Times requests that wait for one another, in all stages that have processors of their own at once.

        Stages that share processors get theirs in turn, so that each has a time of its own. Then all of them work at
        once, as they will, and take turns: by how much longer that takes than their times say, all times are stretched.

        Args:
            seconds: For all stages together.
            n_least: Requests for each stage with its window full, however long they take.

        Raises:
            NodeError: A node failed.
        """
        seconds_each = seconds / self.n_loads
        loads = [load for group in self._groups for load in _under_load(group, seconds_each, n_least)]
        stretch = 1.0
        if len(self._groups) > 1:
            stretch = _stretch(loads, _under_load(self._guests, seconds_each, max(n_least, MIN_TOGETHER)))
        for load in loads:
            load.guest.samples.busy.append(stretch * load.busy_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A stage that had requests waiting, seconds from one to the next."""

    guest: Guest
    period_seconds: float
    compute_seconds: float
    queue_seconds: float

    @property
    def is_starved(self) -> bool:
        """Whether it had nothing to do at times, since its link is slower."""
        return self.queue_seconds < STARVED_SHARE * self.period_seconds

    @property
    def busy_seconds(self) -> float:
        """From answer to answer while the stage had enough to do; else its compute time."""
        return self.compute_seconds if self.is_starved else self.period_seconds


def _under_load(guests: Sequence[Guest], seconds: float, n_least: int) -> list[Load]:
    """Stages that all work at once, none ahead of the slowest by more than its window, as in a pipeline.

    A window of requests counts for nothing at both ends: while they begin, and once nothing is sent any more, a stage
    has less to do beside computing (with the end counted, resnet18 was predicted 5 % too fast).
    """
    ends_at = time.perf_counter() + seconds
    futures: list[list[Future[Answer]]] = [[] for _ in guests]
    while len(futures[0]) < n_least + 2 * WINDOW or time.perf_counter() < ends_at:
        for guest, sent in zip(guests, futures, strict=True):
            sent.append(guest.pipeline.submit(guest.inputs))
    return [
        _load(guest, [future.result() for future in sent][WINDOW:-WINDOW])
        for guest, sent in zip(guests, futures, strict=True)
    ]


def _load(guest: Guest, answers: Sequence[Answer]) -> Load:
    return Load(
        guest=guest,
        period_seconds=(answers[-1].received_at - answers[0].received_at) / (len(answers) - 1),
        compute_seconds=statistics.median(answer.trace[0].compute_seconds for answer in answers),
        queue_seconds=statistics.median(answer.trace[0].queue_seconds for answer in answers),
    )


def _stretch(loads: Sequence[Load], together: Sequence[Load]) -> float:
    """Seconds from request to request of stages that all work, over what their own times come to.

    1 where none of them had enough to do.
    """
    if all(load.is_starved for load in together):
        return 1.0
    busy: dict[str, float] = defaultdict(float)
    for load in loads:  # a device may have several stages
        busy[load.guest.node.name] += load.busy_seconds
    processors = shared_processors({load.guest.node.name: load.guest.node for load in loads}.values())
    shared = (math.fsum(weight * busy[name] for name, weight in processor.shares) for processor in processors)
    return statistics.fmean(load.period_seconds for load in together) / max([*busy.values(), *shared])
