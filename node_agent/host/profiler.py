"""Times shards on this machine, interleaved, so that what disturbs one disturbs all."""

import math
import random
import time
from bisect import insort
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import numpy as np
import psutil

from node_agent.drawing import draw_tensors
from node_agent.errors import ShardRejectedError
from node_agent.host.facts import resident_bytes
from node_agent.host.opening import ShardOpener
from node_agent.host.runtime import UNKNOWN_SIZE, ShardSession
from node_agent.messages import ProfileEvent, ProfileProgress, ProfileRequest, ProfileSegment, SegmentSamples
from node_agent.tightness import is_tight

MIN_ROUNDS = 3
"""Made even when the budget is spent: fewer give no median worth the name."""

_SHORTEST_SAMPLE_SECONDS = 300e-6
"""A quicker segment is run several times per sample: the clock and its reading take their share."""

_MAX_REPEATS = 1000
_N_WARM_UPS = 3
_REPORT_SECONDS = 0.25
"""At least so far are reports apart: what is lost when an end is killed."""

_REPORT_SHARE = 0.05
"""Of the time: more must not go into reports, however many segments they are about."""

_MAX_OPEN_BYTES = 1 << 30
_OPEN_FRACTION = 0.25
"""Of the free memory: weights of the sessions that are open together."""


@dataclass(slots=True)
class _OpenSegment:
    name: str
    session: ShardSession
    inputs: dict[str, np.ndarray]
    memory_bytes: int
    n_repeats: int = 1
    unsent: list[float] = field(default_factory=list)
    ordered: list[float] = field(default_factory=list)
    """All samples, ascending."""

    def time_once(self) -> float:
        """Mean seconds of one run, over the repeats of one sample.

        A run before them brings the weights back into the processor's caches, from which the other segments of the
        round drove them: a deployed stage has them there, and a time must not depend on what else is profiled.
        """
        self.session.run(self.inputs)
        started = time.perf_counter()
        for _ in range(self.n_repeats):
            self.session.run(self.inputs)
        return (time.perf_counter() - started) / self.n_repeats

    def keep(self, seconds: float) -> None:
        """Takes a sample."""
        self.unsent.append(seconds)
        insort(self.ordered, seconds)

    def take_unsent(self) -> SegmentSamples:
        """The samples since the last call."""
        seconds, self.unsent = tuple(self.unsent), []
        return SegmentSamples(
            name=self.name,
            seconds=seconds,
            session_seconds=self.session.seconds,
            memory_bytes=self.memory_bytes,
        )


class Profiler:
    """One profile at work. Used by one thread, once."""

    def __init__(self, opener: ShardOpener, request: ProfileRequest, slowdown: float) -> None:
        """Prepares; nothing is opened before `events`."""
        self._opener = opener
        self._request = request
        self._factor = slowdown or 1.0
        self._random = random.Random(request.seed)  # noqa: S311 - an order, not a secret
        self._n_done = 0
        self._n_total = len(request.segments) * (request.n_rounds + 1)
        self._next_report = 0.0

    def events(self) -> Iterator[ProfileEvent]:
        """Progress and new samples a few times per second. Closing the iterator ends the work.

        Segments whose weights fit into memory together are interleaved; others are worked off in groups, drawn at
        random so that no kind of segment shares one group, each with its share of the budget. A group ends when all
        its segments are tight, when its share is spent, or after the last round.

        Raises:
            BlobMissingError: The store lacks a blob.
            ShardRejectedError: A segment cannot be loaded.
            StageFailedError: A segment cannot be run.
        """
        started = time.perf_counter()
        n_segments = 0
        for group in self._groups():
            n_segments += len(group)
            deadline = started + self._request.budget_seconds * n_segments / len(self._request.segments)
            with ExitStack() as sessions:
                opened: list[_OpenSegment] = []
                for segment in group:
                    opened.append(self._open(segment, sessions))
                    self._n_done += 1
                    yield from self._report((), self._n_done, f"opened {segment.name}")
                yield from self._time(opened, deadline)

    def _groups(self) -> list[list[ProfileSegment]]:
        limit = min(_MAX_OPEN_BYTES, _OPEN_FRACTION * psutil.virtual_memory().available)
        drawn = self._random.sample(self._request.segments, len(self._request.segments))
        return group_by_weight(drawn, limit, self._opener.n_left)

    def _open(self, segment: ProfileSegment, sessions: ExitStack) -> _OpenSegment:
        """Opens, warms up, and finds out how many runs make a sample."""
        before = resident_bytes()
        session = sessions.enter_context(closing(self._opener.open(segment.shard)))
        draw = np.random.default_rng(self._request.seed)
        opened = _OpenSegment(segment.name, session, draw_inputs(segment.name, session, draw), 0)
        quickest = min(opened.time_once() for _ in range(_N_WARM_UPS))
        opened.n_repeats = min(_MAX_REPEATS, math.ceil(_SHORTEST_SAMPLE_SECONDS / quickest))
        opened.memory_bytes = max(0, resident_bytes() - before)
        return opened

    def _time(self, opened: list[_OpenSegment], deadline: float) -> Iterator[ProfileEvent]:
        """Rounds over those that are not tight yet. Progress follows the rounds, or the budget where that is ahead."""
        n_before, n_steps = self._n_done, len(opened) * self._request.n_rounds
        started, loose = time.perf_counter(), opened
        for n_rounds in range(self._request.n_rounds):
            if not loose or (n_rounds >= MIN_ROUNDS and time.perf_counter() >= deadline):
                break
            for segment in self._random.sample(loose, len(loose)):
                segment.keep(segment.time_once() * self._factor)
                self._n_done += 1
                n_spent = n_before + int(n_steps * _share_between(started, time.perf_counter(), deadline))
                yield from self._report(opened, max(self._n_done, n_spent), f"timed {segment.name}")
            n_loose = len(loose)
            loose = [segment for segment in loose if not is_tight(segment.ordered, self._request.tolerance)]
            self._n_done += (n_loose - len(loose)) * (self._request.n_rounds - n_rounds - 1)
        self._n_done, self._next_report = n_before + n_steps, 0.0
        yield from self._report(opened, self._n_done, f"{len(opened) - len(loose)} of {len(opened)} segments are tight")

    def _report(self, opened: Iterable[_OpenSegment], n_done: int, what: str) -> Iterator[ProfileEvent]:
        """What is new, then how far it is; but not so often that it disturbs the times."""
        now = time.perf_counter()
        if now < self._next_report:
            return
        for segment in opened:
            if segment.unsent:
                yield segment.take_unsent()
        yield ProfileProgress(n_done=n_done, n_total=self._n_total, what=what)
        ended = time.perf_counter()
        self._next_report = ended + max(_REPORT_SECONDS, (ended - now) / _REPORT_SHARE)


def _share_between(start: float, now: float, stop: float) -> float:
    return min((now - start) / (stop - start), 1.0) if stop > start else 1.0


def group_by_weight(
    segments: list[ProfileSegment], limit_bytes: float, n_most: float = math.inf
) -> list[list[ProfileSegment]]:
    """Segments in groups of at most `n_most` whose weights do not exceed the limit; one that alone does has its own."""
    groups: list[list[ProfileSegment]] = []
    group_bytes = math.inf
    for segment in segments:
        n_bytes = sum(blob.n_bytes for blob in (segment.shard.graph, *segment.shard.blobs))
        if group_bytes + n_bytes > limit_bytes or len(groups[-1]) >= n_most:
            groups.append([])
            group_bytes = 0
        groups[-1].append(segment)
        group_bytes += n_bytes
    return groups


def draw_inputs(name: str, session: ShardSession, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Inputs for timing, as `draw_tensors` makes them.

    Raises:
        ShardRejectedError: An input has a size that the shard leaves open.
    """
    for spec in session.inputs:
        if UNKNOWN_SIZE in spec.shape:
            raise ShardRejectedError(
                f"Input {spec.name!r} of segment {name!r} has the shape {spec.shape}: write all sizes into the shard."
            )
    return draw_tensors(session.inputs, draw)
