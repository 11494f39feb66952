"""Runs a plan in simulated time."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from partitioner.cluster import CLIENT
from partitioner.cost import QUEUE_LIMIT
from partitioner.errors import PlanError
from partitioner.front import FloatArray
from partitioner.media import SharedMedium, links_of_two, repeated_names
from partitioner.plan import CostEstimate, Plan, StageCost
from partitioner.processors import SharedProcessor, devices_of_two, processor_faults
from partitioner.simulation.load import Load
from partitioner.simulation.result import SimulationResult
from partitioner.simulation.running import Line, Times
from partitioner.simulation.variation import CONSTANT, Variation

LEAST_WARM_UP = 200
WARM_UP_WINDOWS = 5
"""Windows that are left out at the beginning of a closed loop, where that is more."""
JITTER_DEVIATIONS = 3
"""Few delays are longer than their mean by so many standard deviations."""


def simulate(
    plan: Plan,
    cost: CostEstimate,
    *,
    window: int | None = None,
    rate_per_second: float | None = None,
    n_requests: int = 10_000,
    n_warm_up: int | None = None,
    variation: Variation = CONSTANT,
    shared_media: Sequence[SharedMedium] = (),
    shared_processors: Sequence[SharedProcessor] = (),
    queue_limit: int = QUEUE_LIMIT,
    seed: int = 0,
) -> SimulationResult:
    """Runs a plan request by request: the events of the pipeline, none of the cost model's formulas.

    - Closed loop (no rate): `window` requests are always in flight, the plan's window where it is None.
    - Open loop (a rate): requests arrive at random (Poisson); of them `window` are in flight at most, and the others
      wait at the client; all are in flight where it is None.
    - A stage takes one request at a time, its device one stage at a time: for as long as a request keeps it busy, which
      may end before the request's result is there, or after. `queue_limit` requests may wait before and after each
      stage; a stage that cannot hand on waits, and so does the link before it.
    - A link sends one message at a time, which keeps it busy for `bytes / rate`. It arrives, in order, when a lone one
      would: after that, with as many on the way as fill the link, or before. Links of one shared medium take turns.
    - Devices of one shared processor go on side by side, as an operating system lets them: where the weights of those
      that work add up to more than 1, all of them slow down by that sum alike. So the processor bounds the throughput
      as the cost model says, where what works meanwhile always suffices to fill it: with weights of 1 exactly, with
      smaller ones only while several stages have work.

    Args:
        plan: Whose batch, window and stages are run.
        cost: Mean times of the plan's stages and hops; its sums are not read.
        window: Most requests in flight, see above.
        rate_per_second: Samples that arrive per second, `batch` of them with each request.
        n_requests: Measured requests; in a closed loop rounded up to whole windows, so that bursts weigh evenly.
        n_warm_up: Requests before them that are not measured.
        variation: How times vary around the means.
        shared_media: Links that take turns.
        shared_processors: Devices on the same cores.
        queue_limit: Requests that may wait before, and after, each stage.
        seed: Of all chance. Each stage, each link and the arrivals draw from a stream of their own, so that a change
            of one leaves the others as they were.

    Raises:
        PlanError: Plan and cost do not belong together, a link is in two media, or a device on two processors.
        ValueError: A number is out of range.
    """
    counts = {"window": window, "n_requests": n_requests, "queue_limit": queue_limit}
    too_small = [f"{name} is {count}" for name, count in counts.items() if count is not None and count < 1]
    if too_small or (n_warm_up is not None and n_warm_up < 0):
        raise ValueError(f"Wanted 1 or more (a warm-up may be 0): {', '.join(too_small) or f'n_warm_up {n_warm_up}'}.")
    shared_faults = (*repeated_names(shared_media, "media"), *links_of_two(shared_media))
    shared_faults += (*processor_faults(shared_processors), *devices_of_two(shared_processors))
    faults = (*_plan_faults(plan, cost), *shared_faults)
    if faults:
        raise PlanError(f"Plan {plan.describe()!r} cannot be simulated: {'; '.join(faults)}.")
    arrivals_stream, *streams = np.random.default_rng(seed).spawn(1 + 2 * len(cost.hops))
    if rate_per_second is None:
        load = _closed_loop(window or plan.window, n_requests, n_warm_up)
    else:
        load = _open_loop(window, rate_per_second / plan.batch, n_requests, n_warm_up, arrivals_stream)
    used = {device for stage in plan.stages for device in stage.devices}
    times = _draw_times(cost, variation, load.n_total, streams)
    line = Line(
        plan,
        cost,
        times,
        load,
        shared_media=shared_media,
        shared_processors=[one for one in shared_processors if used & {device for device, _ in one.shares}],
        queue_limit=queue_limit,
    )
    return line.run(plan.batch)


def _plan_faults(plan: Plan, cost: CostEstimate) -> Iterator[str]:
    places = (CLIENT, *(stage.device for stage in plan.stages), CLIENT)
    if [(stage.device, stage.n_replicas) for stage in cost.stages] != [
        (stage.device, len(stage.devices)) for stage in plan.stages
    ]:
        yield "its cost is of other stages"
    if [(hop.source, hop.target) for hop in cost.hops] != list(pairwise(places)):
        yield "its cost is of other hops"


def _closed_loop(window: int, n_requests: int, n_warm_up: int | None) -> Load:
    warm_up = max(LEAST_WARM_UP, WARM_UP_WINDOWS * window) if n_warm_up is None else n_warm_up
    whole_windows = math.ceil(n_requests / window) * window
    return Load(n_warm_up=warm_up, n_measured=whole_windows, n_after=window, window=window, arrivals=None)


def _open_loop(
    window: int | None, rate_per_second: float, n_requests: int, n_warm_up: int | None, random: np.random.Generator
) -> Load:
    """Poisson arrivals at a rate of requests, not samples."""
    if not 0 < rate_per_second < math.inf:
        raise ValueError(f"rate_per_second gives {rate_per_second} requests per second: wanted more than 0.")
    warm_up = max(LEAST_WARM_UP, n_requests // 10) if n_warm_up is None else n_warm_up
    n_total = warm_up + n_requests + LEAST_WARM_UP
    return Load(
        n_warm_up=warm_up,
        n_measured=n_requests,
        n_after=LEAST_WARM_UP,
        window=math.inf if window is None else window,
        arrivals=np.cumsum(random.exponential(1.0 / rate_per_second, n_total)).tolist(),
    )


def _draw_times(
    cost: CostEstimate, variation: Variation, n_total: int, streams: Sequence[np.random.Generator]
) -> Times:
    """Stages draw from the streams of even index, links from the others."""
    stages = tuple(
        variation.stage_seconds(index, stage.seconds, n_total, streams[2 * index])
        for index, stage in enumerate(cost.stages)
    )
    busy = tuple(_busy_seconds(stage, seconds) for stage, seconds in zip(cost.stages, stages, strict=True))
    sending = _sending_seconds(cost)
    leaving = tuple(min(hop.seconds, seconds) for hop, seconds in zip(cost.hops, sending, strict=True))
    fixed = tuple(hop.seconds - seconds for hop, seconds in zip(cost.hops, leaving, strict=True))
    delays = tuple(
        variation.delay_seconds(hop.source, hop.target, fixed[index], n_total, streams[2 * index + 1])
        for index, hop in enumerate(cost.hops)
    )
    limits = tuple(
        _pipe_limit(fixed[index] + JITTER_DEVIATIONS * variation.jitter_of(hop.source, hop.target), sending[index])
        for index, hop in enumerate(cost.hops)
    )
    stage_limits = tuple(
        _pipe_limit(max(float(np.max(seconds - holding)), 0.0), stage.busy_seconds)
        for stage, seconds, holding in zip(cost.stages, stages, busy, strict=True)
    )
    return Times(
        stages=stages,
        busy=busy,
        delays=delays,
        sending=sending,
        leaving=leaving,
        pipe_limits=limits,
        stage_limits=stage_limits,
    )


def _busy_seconds(stage: StageCost, seconds: FloatArray) -> FloatArray:
    """(n_requests,) for how long each keeps its device busy: the more, the more it takes."""
    alone = stage.busy_seconds * stage.n_replicas
    if stage.busy_seconds == stage.seconds / stage.n_replicas:
        return seconds
    return seconds * (alone / stage.seconds) if stage.seconds else np.full_like(seconds, alone)


def _sending_seconds(cost: CostEstimate) -> tuple[float, ...]:
    """For how long one message keeps its link; a hop's busy seconds are shared by the links that take turns."""
    n_replicas = (1, *(stage.n_replicas for stage in cost.stages), 1)
    return tuple(hop.busy_seconds * math.lcm(*pair) for hop, pair in zip(cost.hops, pairwise(n_replicas), strict=True))


def _pipe_limit(delay_seconds: float, sending_seconds: float) -> float:
    """Messages that are on their way while the link sends without a pause, and one."""
    return math.ceil(delay_seconds / sending_seconds) + 1 if sending_seconds > 0 else math.inf
