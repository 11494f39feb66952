"""What each device, link direction, shared medium and processor of the chosen plan is busy with, for one request."""

from dataclasses import dataclass

from coordinator.report.run import Run, resource_label
from coordinator.shared_busy import computing_seconds, shared_seconds
from partitioner.cluster import CLIENT
from partitioner.plan import CostEstimate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One device, one direction of a link, or what links or devices share."""

    name: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` or `processor:NAME`."""
    predicted_seconds: float
    measured_seconds: float | None
    """None without a measurement, and for a medium that was not there, since its links were emulated."""
    is_predicted_bottleneck: bool
    is_measured_bottleneck: bool

    @property
    def label(self) -> str:
        """Name for people."""
        return resource_label(self.name)


def lanes(plan: Plan) -> tuple[str, ...]:
    """Names of the resources that a request passes, in the order in which it does, each once."""
    found = [_link(CLIENT, plan.stages[0].device)]
    for stage, following in zip(plan.stages, (*(stage.device for stage in plan.stages[1:]), CLIENT), strict=True):
        found += [f"device:{stage.device}", _link(stage.device, following)]
    return tuple(dict.fromkeys(found))


def resources(run: Run) -> tuple[Resource, ...]:
    """Resources of the chosen plan in flow order, what is shared last; a device is busy while it computes."""
    predicted, measured = _predicted_seconds(run), _measured_seconds(run)
    emulated = _emulated_media(run)
    found_bottleneck = run.measurement.bottleneck.resource if run.measurement else None
    return tuple(
        Resource(
            name=name,
            predicted_seconds=predicted.get(name, 0.0),
            measured_seconds=measured.get(name, 0.0) if run.measurement and name not in emulated else None,
            is_predicted_bottleneck=name == run.chosen.cost.bottleneck_resource,
            is_measured_bottleneck=name == found_bottleneck,
        )
        for name in (*lanes(run.chosen.plan), *_shared_costs(run.chosen.cost))
    )


def _predicted_seconds(run: Run) -> dict[str, float]:
    busy: dict[str, float] = {}
    for stage in run.chosen.cost.stages:
        _add(busy, f"device:{stage.device}", stage.busy_seconds)
    for hop in run.chosen.cost.hops:
        _add(busy, _link(hop.source, hop.target), hop.busy_seconds)
    return busy | _shared_costs(run.chosen.cost)


def _shared_costs(cost: CostEstimate) -> dict[str, float]:
    media = {f"medium:{medium.name}": medium.busy_seconds for medium in cost.media}
    return media | {f"processor:{processor.name}": processor.busy_seconds for processor in cost.processors}


def _measured_seconds(run: Run) -> dict[str, float]:
    measurement = run.measurement
    if measurement is None or not measurement.stages:
        return {}
    busy = {_link(CLIENT, measurement.stages[0].device): measurement.input_send_seconds}
    following = (*(stage.device for stage in measurement.stages[1:]), CLIENT)
    for stage, target in zip(measurement.stages, following, strict=True):
        _add(busy, f"device:{stage.device}", computing_seconds(stage, stage.compute_seconds, run.chosen.cost))
        _add(busy, _link(stage.device, target), stage.send_seconds)
    return busy | shared_seconds(measurement.stages, measurement.input_send_seconds, run.chosen.cost)


def _emulated_media(run: Run) -> set[str]:
    """Media of the plan over which some link is emulated, by a sender that knows of no other."""
    emulated = {(link.source, link.target) for link in run.cluster.links if link.emulation}
    hops = (hop for hop in run.chosen.cost.hops if (hop.source, hop.target) in emulated)
    return {f"medium:{medium.name}" for hop in hops for medium in hop.media}


def _link(source: str, target: str) -> str:
    return f"link:{source}->{target}"


def _add(busy: dict[str, float], name: str, seconds: float) -> None:
    busy[name] = busy.get(name, 0.0) + seconds
