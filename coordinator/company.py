"""Stages that are tried together, and how long their machine rests between them.

What runs before a stage, and beside it, is part of what it takes: after a rest caches are cold, frequencies low,
virtual processors handed to others; a neighbour on the same machine empties caches and, under load, shares units of
the processor. On one machine a rest of 50 ms made a stage of 34 ms take 35 to 47, a neighbour one of 4.2 ms take 5.0.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partitioner.plan import Candidate
from partitioner.profile import Profile

Span = tuple[int, int]
TriedStage = tuple[str, Span]
"""Device and span."""

LONGEST_SECONDS = 0.04
"""A longer rest was not seen to change anything more, and makes trials long."""
GRAIN_SECONDS = 0.002
"""To which rests are rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Stages of one plan on one machine; mostly one, where each node has its machine."""

    groups: tuple[tuple[TriedStage, ...], ...]
    """Under load those of a group work at the same time, each on processors of its own; others would halve its time."""
    rest_seconds: float
    """Before each lone request."""

    @property
    def stages(self) -> tuple[TriedStage, ...]:
        """All of them: lone requests go to one after another."""
        return tuple(stage for group in self.groups for stage in group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the devices of a cluster are."""

    host_of: Mapping[str, str]
    cores_of: Mapping[str, Iterable[int]]
    """Numbers of the processors that each device may use."""


def companies_to_try(profile: Profile, front: Sequence[Candidate], places: Places) -> tuple[Company, ...]:
    """Companies that together hold all stages of the front that were not tried, those first that most plans share."""
    uses = untried_stages(profile, front)
    found: list[Company] = []
    covered: set[TriedStage] = set()
    for company in (company for candidate in front for company in companies_of(candidate, places)):
        if any(stage in uses and stage not in covered for stage in company.stages):
            found.append(company)
            covered.update(company.stages)
    return tuple(sorted(found, key=lambda company: -sum(uses[stage] for stage in company.stages)))


def untried_stages(profile: Profile, front: Sequence[Candidate]) -> Counter[TriedStage]:
    """How many plans of the front have each stage that was not run as such."""
    tried = {(device.device, (trial.start, trial.stop)) for device in profile.devices for trial in device.trials}
    stages = (
        (device, (stage.start, stage.stop))
        for candidate in front
        for stage in candidate.plan.stages
        for device in stage.devices
    )
    return Counter(stage for stage in stages if stage not in tried)


def companies_of(candidate: Candidate, places: Places) -> tuple[Company, ...]:
    """The stages of a plan by machine."""
    on_host: dict[str, list[TriedStage]] = {}
    for stage in candidate.plan.stages:
        for device in stage.devices:
            on_host.setdefault(places.host_of[device], []).append((device, (stage.start, stage.stop)))
    return tuple(
        Company(
            groups=tuple(_apart(stages, places.cores_of)), rest_seconds=_rest_seconds(candidate, places.host_of, host)
        )
        for host, stages in on_host.items()
    )


def _apart(stages: Sequence[TriedStage], cores_of: Mapping[str, Iterable[int]]) -> list[tuple[TriedStage, ...]]:
    """Groups of stages without a common processor, each stage in the first that it fits."""
    groups: list[tuple[list[TriedStage], set[int]]] = []
    for stage in stages:
        cores = set(cores_of[stage[0]])
        for members, taken in groups:
            if not cores & taken:
                members.append(stage)
                taken.update(cores)
                break
        else:
            groups.append(([stage], cores))
    return [tuple(members) for members, _ in groups]


def _rest_seconds(candidate: Candidate, host_of: Mapping[str, str], host: str) -> float:
    """In single stream a machine works on its stages in turn: what is left is its rest, as often as it has stages."""
    working = [
        cost.compute_seconds
        for stage, cost in zip(candidate.plan.stages, candidate.cost.stages, strict=True)
        if any(host_of[device] == host for device in stage.devices)
    ]
    rest = (candidate.cost.latency_seconds - sum(working)) / len(working)
    return round(min(max(rest, 0.0), LONGEST_SECONDS) / GRAIN_SECONDS) * GRAIN_SECONDS
