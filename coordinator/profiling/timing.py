"""Spans timed on one node, and what is said of a span's samples."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from coordinator.errors import MeasurementError
from coordinator.fleet import FleetNode
from coordinator.profiling.effort import OnProgress, ProfileEffort
from coordinator.profiling.power import PowerReader
from coordinator.profiling.spans import Span
from coordinator.provisioning import send_shards, sending_lane, shard_ref
from coordinator.statistics import quantile_estimate
from node_agent.messages import ProfileProgress, ProfileRequest, ProfileSegment, SegmentSamples
from node_agent.tightness import is_tight
from partitioner.decisions.outliers import MAD_TO_DEVIATION
from partitioner.onnx_io import Model
from partitioner.profile import SegmentTiming

Samples = Mapping[Span, SegmentSamples]
"""All samples of each span so far."""


class SpanTimer:
    """Times spans on one node and adds up what that took. Used by one thread."""

    def __init__(self, node: FleetNode, model: Model, effort: ProfileEffort, on_progress: OnProgress) -> None:
        self._node = node
        self._model = model
        self._effort = effort
        self._on_progress = on_progress
        self.power = PowerReader.of(node, span_seconds=effort.power_span_seconds)
        self.sending_seconds = 0.0
        """Bringing graphs and weights to the node."""
        self.session_seconds = 0.0
        """Creating sessions there."""

    def time(
        self,
        spans: Sequence[Span],
        *,
        budget_seconds: float,
        n_rounds: int,
        keep: Callable[[Samples], None] = lambda _samples: None,
    ) -> dict[Span, SegmentSamples]:
        """All samples of each span.

        Args:
            spans: At least one.
            budget_seconds: For all together.
            n_rounds: At most.
            keep: Told all samples of those spans that have new ones, a few times per second, and when something fails.

        Raises:
            NodeError: The node failed, or its runtime refuses a span.
            MeasurementError: The node left a span out.
        """
        self.power.watch_quiet()
        request = self._request(spans, budget_seconds, n_rounds)
        timed: dict[Span, SegmentSamples] = {}
        changed: set[Span] = set()
        try:
            for event in self._node.client.profile(request):
                if isinstance(event, ProfileProgress):
                    self.power.note(is_timing=bool(changed))
                    keep({span: timed[span] for span in changed})
                    changed.clear()
                    self._on_progress(self._node.name, event.n_done, event.n_total, event.what)
                else:
                    span = _span_of(event.name)
                    before = timed[span].seconds if span in timed else ()
                    timed[span] = replace(event, seconds=before + event.seconds)
                    changed.add(span)
        finally:
            keep({span: timed[span] for span in changed})
            self.session_seconds += sum(samples.session_seconds for samples in timed.values())
        if len(timed) != len(spans):
            raise MeasurementError(
                f"Profiling '{self._node.name}' was to time {len(spans)} segments, but {len(timed)} came back: "
                "profile again."
            )
        return timed

    def _request(self, spans: Sequence[Span], budget_seconds: float, n_rounds: int) -> ProfileRequest:
        """The order for the node, which then has all that it needs."""
        shards = {f"{start}:{stop}": self._model.cut(start, stop) for start, stop in spans}
        self._on_progress(self._node.name, 0, len(shards), "sending weights")
        started = time.perf_counter()
        on_sending = sending_lane(self._on_progress, self._node.name)
        send_shards(self._node.client, self._model, shards.values(), on_sending)
        self.sending_seconds += time.perf_counter() - started
        return ProfileRequest(
            segments=tuple(ProfileSegment(name=name, shard=shard_ref(shard)) for name, shard in shards.items()),
            n_rounds=n_rounds,
            budget_seconds=budget_seconds,
            seed=self._effort.seed,
            tolerance=self._effort.tolerance,
        )


def _span_of(name: str) -> Span:
    start, stop = map(int, name.split(":"))
    return start, stop


def segment_timing(
    span: Span,
    seconds: Sequence[float],
    *,
    session_seconds: float,
    memory_bytes: int,
    tolerance: float,
    is_cached: bool = False,
) -> SegmentTiming:
    """What a span's samples say, at least one."""
    median = quantile_estimate(seconds, 0.5)
    deviation = float(np.median(np.abs(np.asarray(seconds) - median.value)))
    return SegmentTiming(
        start=span[0],
        stop=span[1],
        seconds=median.value,
        low_seconds=median.low,
        high_seconds=median.high,
        n_samples=len(seconds),
        session_seconds=session_seconds,
        memory_bytes=memory_bytes,
        coefficient_of_variation=MAD_TO_DEVIATION * deviation / median.value,
        is_tight=is_tight(sorted(seconds), tolerance),
        is_cached=is_cached,
    )
