"""What a report shows: the values of one run, some of which may not exist yet."""

from dataclasses import dataclass

from coordinator.measurement import Measurement, PlanMeasurement
from partitioner.cluster import Cluster
from partitioner.graph import Graph
from partitioner.plan import Candidate, Plan
from partitioner.profile import Profile
from partitioner.search.result import SearchResult


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of splitfront, as far as it has come."""

    title: str
    command: tuple[str, ...]
    """Arguments that repeat the run, the program's name first."""
    graph: Graph
    cluster: Cluster
    search: SearchResult
    chosen: Candidate
    """Normally of the front; marked even where it is not."""
    knee: Candidate | None = None
    """Where the front bends; None leaves the mark out."""
    profile: Profile | None = None
    measurement: Measurement | None = None

    @property
    def measured_plans(self) -> tuple[PlanMeasurement, ...]:
        """All plans that were measured, the chosen one first."""
        return () if self.measurement is None else self.measurement.plans

    @property
    def emulation(self) -> dict[str, str]:
        """Device or link → how it was emulated, from whatever says so; empty on real hardware."""
        said = {device.name: device.emulation for device in self.cluster.devices if device.emulation}
        for link in self.cluster.links:
            if link.emulation:
                said[f"{link.source} → {link.target}"] = link.emulation
        for device in self.profile.devices if self.profile else ():
            if device.emulation:
                said.setdefault(device.device, device.emulation)
        for resource, words in (self.measurement.emulation if self.measurement else {}).items():
            said.setdefault(resource_label(resource), words)
        return said


def resource_label(resource: str) -> str:
    """Name of a resource for people.

    `device:pi-1` as `pi-1`, `link:a->b` as `a → b`, `medium:wifi` as `wifi (shared)`, `processor:a+b` as
    `cores of a, b`; anything else as it is.
    """
    kind, separator, rest = resource.partition(":")
    if separator and kind == "device":
        return rest
    if separator and kind == "link":
        return rest.replace("->", " → ", 1)
    if separator and kind == "medium":
        return f"{rest} (shared)"
    if separator and kind == "processor":
        return f"cores of {rest.replace('+', ', ')}"
    return resource.replace("->", " → ", 1)


def is_same_plan(one: Plan, other: Plan) -> bool:
    """Whether two plans put the same stages on the same devices; their windows may differ."""
    return one.stages == other.stages and one.batch == other.batch
