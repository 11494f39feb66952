"""The profile of one node, from what is known already and what is timed now."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from coordinator.fleet import FleetNode
from coordinator.profile_cache import Entry, ProfileCache
from coordinator.profiling.anchors import choose_anchors, drift_between, is_drift
from coordinator.profiling.effort import OnProgress, ProfileEffort, ignore_progress
from coordinator.profiling.recollection import Recollection, known_line
from coordinator.profiling.spans import Span
from coordinator.profiling.timing import Samples, SpanTimer, segment_timing
from node_agent.errors import ShardRejectedError
from node_agent.messages import SegmentSamples
from partitioner.graph import Graph
from partitioner.onnx_io import Model
from partitioner.profile import DeviceProfile, SegmentTiming

_LEAST_SECONDS = 3.0
"""Budget of a few segments, where their share of the whole is less: anchors must be worth comparing."""


def profile_node(
    node: FleetNode,
    model: Model,
    spans: Sequence[Span],
    *,
    effort: ProfileEffort,
    on_progress: OnProgress = ignore_progress,
    cache: ProfileCache | None = None,
    is_fresh: bool = False,
) -> DeviceProfile:
    """Times spans on one node. Spans whose weights alone exceed its memory are left out.

    What the cache knows is not timed again, but for a few anchors; where these drifted, all is timed. Where the node's
    runtime refuses a span, its units are tried one by one, and spans with refused ones are left out.

    Raises:
        NodeError: The node failed; what was timed until then is in the cache.
    """
    started = time.perf_counter()
    memory_bytes = node.device.memory_bytes
    fitting = [span for span in spans if model.graph.weight_bytes(*span) < memory_bytes]
    digests = {span: model.cut(*span).sha256 for span in fitting}
    recollection = Recollection(cache, node.name, node.description, digests, is_fresh=is_fresh)
    work = _NodeWork(node, model, fitting, effort=effort, on_progress=on_progress, recollection=recollection)
    timings = work.timings()
    description = node.description
    return DeviceProfile(
        device=node.name,
        segments=tuple(sorted(timings, key=lambda timing: timing.span)),
        runtime=f"{description.runtime} {description.providers[0]} threads={description.n_threads}",
        emulation=node.device.emulation,
        base_memory_bytes=description.resident_bytes,
        unsupported_units=tuple(sorted({*work.refused, *_too_large_units(model.graph, memory_bytes)})),
        seconds=time.perf_counter() - started,
        session_seconds=work.timer.session_seconds,
        sending_seconds=work.timer.sending_seconds,
        power=work.timer.power.power,
    )


def _too_large_units(graph: Graph, memory_bytes: int) -> list[int]:
    return [unit for unit in range(graph.n_units) if graph.weight_bytes(unit, unit + 1) >= memory_bytes]


class _NodeWork:
    """One node's profile at work."""

    def __init__(
        self,
        node: FleetNode,
        model: Model,
        spans: Sequence[Span],
        *,
        effort: ProfileEffort,
        on_progress: OnProgress,
        recollection: Recollection,
    ) -> None:
        self._name = node.name
        self._spans = spans
        self._effort = effort
        self._share_seconds = effort.budget_seconds / max(len(spans), 1)
        self._recollection = recollection
        self.timer = SpanTimer(node, model, effort, on_progress)
        self.refused: list[int] = []

    def timings(self) -> list[SegmentTiming]:
        """Of all spans that the node supports, known or timed now."""
        earlier = dict(self._recollection.earlier)
        known = {span: entry for span, entry in earlier.items() if self._is_known(entry)}
        anchors = choose_anchors({span: median(entry.seconds) for span, entry in known.items()})
        if earlier:
            n_begun = len(earlier) - len(known)
            self._recollection.say(known_line(self._name, tuple(known.values()), len(self._spans), n_begun))
        wanted = [span for span in self._spans if span not in known]
        timed = self._time_supported([*wanted, *anchors], known)
        if self._has_drifted(earlier, anchors, timed):
            self._recollection.forget()
            rest = [span for span in known if span not in anchors]
            timed |= self._time(rest, self._recollection.store) if rest else {}
            known = {}
        new = {span: samples for span, samples in timed.items() if span not in known}
        self._recollection.store(new, self._share_seconds)
        return [
            *(self._timing(span, self._recollection.seconds(span, samples), samples) for span, samples in new.items()),
            *(self._timing(span, entry.seconds, entry, is_cached=True) for span, entry in known.items()),
        ]

    def _is_known(self, entry: Entry) -> bool:
        return entry.is_known(self._effort.tolerance, self._share_seconds)

    def _time(self, spans: Sequence[Span], keep: Callable[[Samples], None]) -> dict[Span, SegmentSamples]:
        least = min(_LEAST_SECONDS, self._effort.budget_seconds)
        budget_seconds = max(self._share_seconds * len(spans), least)
        return self.timer.time(spans, budget_seconds=budget_seconds, n_rounds=self._effort.n_rounds, keep=keep)

    def _time_supported(self, spans: Sequence[Span], known: Mapping[Span, Entry]) -> dict[Span, SegmentSamples]:
        """Samples of the spans without refused units; those of known ones are not stored before they were judged."""

        def keep(samples: Samples) -> None:
            self._recollection.store({span: new for span, new in samples.items() if span not in known})

        if not spans:
            return {}
        try:
            return self._time(spans, keep)
        except ShardRejectedError as exc:
            accepted = {unit for span in known for unit in range(*span)}
            units = sorted({unit for span in spans for unit in range(*span)} - accepted)
            self.refused = [unit for unit in units if self._is_refused(unit)]
            supported = [span for span in spans if not any(unit in range(*span) for unit in self.refused)]
            if not self.refused:
                raise
            if not supported and not known:
                raise ShardRejectedError(
                    f"'{self._name}' refuses every unit of the model, the first with: {exc}"
                ) from exc
            return self._time(supported, keep) if supported else {}

    def _is_refused(self, unit: int) -> bool:
        try:
            self.timer.time([(unit, unit + 1)], budget_seconds=self._effort.budget_seconds, n_rounds=1)
        except ShardRejectedError:
            return True
        return False

    def _has_drifted(self, earlier: Mapping[Span, Entry], anchors: Sequence[Span], timed: Samples) -> bool:
        """Judged by the anchors, or by what was begun where nothing is known; says why if so."""
        judged = anchors or tuple(earlier)
        old = {span: earlier[span].seconds for span in judged}
        ratio = drift_between(old, {span: samples.seconds for span, samples in timed.items()})
        if ratio is None or not is_drift(ratio):
            return False
        names = ", ".join(f"{start}:{stop}" for start, stop in judged[:3])
        self._recollection.say(
            f"  {self._name}: segments {names} now take {ratio:.2f} times as long as the profile cache says: its times "
            "of this device are not used, all are measured again."
        )
        return True

    def _timing(
        self, span: Span, seconds: Sequence[float], of: Entry | SegmentSamples, *, is_cached: bool = False
    ) -> SegmentTiming:
        return segment_timing(
            span,
            seconds,
            session_seconds=of.session_seconds,
            memory_bytes=of.memory_bytes,
            tolerance=self._effort.tolerance,
            is_cached=is_cached,
        )
