"""Which resource held a plan back, and what its rate lets through where that is a link. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from coordinator.results.values import Run
from partitioner.cluster import CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBottleneck:
    """What a plan's requests kept busy longest while the window was full, on average over its runs."""

    resource: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` or `processor:NAME`."""
    boundary_bytes: float
    """Largest that a link between devices carries for a request; 0 where there is none."""
    bytes_bound: float | None
    """Samples per second that the rate asked of the link lets through; None of what is no link, or has no such rate."""
    best_share: float | None
    """Of it, that the best run reached."""

    @property
    def is_between_devices(self) -> bool:
        """Whether it is a link from device to device, or a medium."""
        return self.resource.startswith("medium:") or _is_between(self.resource)


def plan_bottleneck(runs: Sequence[Run], batch: int) -> PlanBottleneck | None:
    """Of a plan with these runs, all done; None where none tells it."""
    told = [run for run in runs if run.resources]
    if not told:
        return None
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in told:
        for use in run.resources:
            seconds[use.resource].append(use.busy_seconds)
    busiest = max(seconds, key=lambda name: fmean(seconds[name]))
    carried = {use.resource: use.tensor_bytes for use in told[0].resources if use.tensor_bytes is not None}
    rate = next((rate for run in told if (rate := _asked_rate(run, busiest))), None)
    bound = batch * rate / carried[busiest] if rate and carried.get(busiest) else None
    reached = [run.figures["throughput_per_second"] for run in told if "throughput_per_second" in run.figures]
    return PlanBottleneck(
        resource=busiest,
        boundary_bytes=max((n_bytes for name, n_bytes in carried.items() if _is_between(name)), default=0.0),
        bytes_bound=bound,
        best_share=max(reached) / bound if bound and reached else None,
    )


def _is_between(resource: str) -> bool:
    return resource.startswith("link:") and CLIENT not in resource.removeprefix("link:").split("->")


def _asked_rate(run: Run, resource: str) -> float | None:
    return next(
        (link.asked_bytes_per_second for link in run.links if f"link:{link.source}->{link.target}" == resource), None
    )
