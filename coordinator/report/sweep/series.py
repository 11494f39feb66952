"""What the pictures and tables of a sweep are drawn from, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coordinator.measurement import Estimate
from coordinator.report.sweep.bottlenecks import PlanBottleneck
from coordinator.results.values import LinkFound, RunState, Sample
from coordinator.sweep.predicted import PredictedSweep
from partitioner.decisions.contraction import Contraction

FigureKind = Literal["screen", "paper"]
"""Pictures for slides and pages, or for the columns of a two-column paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All that a case is beside condition, plan and codec: plans are compared within a setting.

    A plan on nodes of several settings stands in each of them.
    """

    model: str
    cluster: str
    nodes: tuple[str, ...]
    batch: int
    data_plane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPoint:
    """One run of a case. Invalid and failed ones stand beside the others, and count in no figure."""

    repeat: int
    attempt: int
    position: int
    """In the sweep's random order."""
    state: RunState
    reason: str
    began_at: str
    latency_seconds: float | None
    """Median, one request in flight; None where it was not measured."""
    throughput_per_second: float | None
    figures: Mapping[str, float]
    links: tuple[LinkFound, ...]
    environment: Mapping[str, object]
    bottleneck: PlanBottleneck | None
    """None where the run does not tell it."""
    samples: tuple[Sample, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPoint:
    """A plan under a condition: one case, and what became of it."""

    case_key: str
    plan: str
    """Its name; with its codec, where it has one."""
    stages: str
    is_split: bool
    condition: str
    latency: Estimate | None
    """Seconds, unloaded: mean over the runs of their medians. None where no run tells it."""
    throughput: Estimate | None
    """Samples per second, window full."""
    predicted_latency_seconds: float | None
    predicted_throughput_per_second: float | None
    runs: tuple[RunPoint, ...]
    bottleneck: PlanBottleneck | None = None
    """None where no run tells it."""
    is_on_front: bool = False
    is_knee: bool = False
    front_probability: float | None = None
    """That no other plan dominates it, given the noise; None where it is not known."""
    is_lent: bool = False
    """Whether it is a case of another setting, whose nodes this one has as well: it was measured once for both."""

    @property
    def is_whole(self) -> bool:
        """Whether it has both figures, and can stand in a front."""
        return self.latency is not None and self.throughput is not None

    def n_runs(self, state: RunState) -> int:
        """How many of its runs ended so."""
        return sum(run.state == state for run in self.runs)

    @property
    def n_samples(self) -> int:
        """Of runs that count."""
        return sum(len(run.samples) for run in self.runs if run.state == "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSeries:
    """All plans under one condition."""

    name: str
    round_trip_seconds: float | None
    """Of the slowest link, as asked for; as found where nothing was asked; None where nobody looked."""
    bytes_per_second: float | None
    """Of the slowest link, likewise."""
    points: tuple[PlanPoint, ...]
    hypervolume: Estimate | None = None
    """Share of the rectangle up to the worst figures that the front dominates; None where it is not known."""
    contraction: Contraction | None = None
    """Of the splits, by what they send; None where bottlenecks are not known."""

    @property
    def front(self) -> tuple[PlanPoint, ...]:
        """Plans on the front, least latency first."""
        found = [point for point in self.points if point.is_on_front and point.latency is not None]
        return tuple(sorted(found, key=lambda point: point.latency.value if point.latency else 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCell:
    """Which plan is best under a condition."""

    condition: str
    case_key: str
    """Of the plan."""
    round_trip_seconds: float
    bytes_per_second: float
    plan: str
    value: float
    """What it takes: seconds, or samples per second."""
    runner_up: str
    """The best of the others; empty where there is none."""
    margin: float
    """By which share the runner-up is worse."""
    is_sure: bool
    """Whether the noise leaves no doubt which of the two is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossoverMap:
    """Which plan is best where, by one figure, over round trip × rate."""

    objective: str
    """`latency` or `throughput`."""
    cells: tuple[MapCell, ...]

    @property
    def winners(self) -> tuple[str, ...]:
        """Plans that are best somewhere, in order of their first cell."""
        return tuple(dict.fromkeys(cell.plan for cell in self.cells))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRegret:
    """What it costs to keep one plan under all conditions."""

    plan: str
    regrets: tuple[float | None, ...]
    """Of each condition: share by which it is worse than the best plan there; None where it was not measured."""
    worst: float | None
    """None where it lacks a condition."""
    mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegretTable:
    """Regrets by one figure, in the order of the setting's plans."""

    objective: str
    conditions: tuple[str, ...]
    plans: tuple[PlanRegret, ...]
    minimax: str
    """The plan whose worst regret is least; empty where none has all conditions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to run, in words."""

    headline: str
    reasons: tuple[str, ...]
    """What is behind it, a sentence each."""
    plan: str
    """That is recommended for all conditions; empty where none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSeries:
    """One setting under all its conditions."""

    setting: Setting
    name: str
    """What tells it from the sweep's other settings."""
    slug: str
    """The same for files."""
    plans: tuple[str, ...]
    """Names in the order in which they are listed and coloured."""
    conditions: tuple[ConditionSeries, ...]
    maps: tuple[CrossoverMap, ...]
    """Empty where no condition says how fast its links are."""
    regrets: tuple[RegretTable, ...]
    recommendation: Recommendation
    is_predicted: bool
    """Whether nothing was measured, so that all figures are the cost model's."""
    forecast: PredictedSweep | None = None
    """What it was drawn from, where it was not from runs."""

    @property
    def points(self) -> tuple[PlanPoint, ...]:
        """Of all conditions."""
        return tuple(point for condition in self.conditions for point in condition.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSeries:
    """A sweep, ready to be drawn."""

    name: str
    created_at: str
    seed: int
    versions: Mapping[str, str]
    spec: Mapping[str, object]
    settings: tuple[SettingSeries, ...]
    n_planned: int
    """Runs that the sweep wants at least: case × repeat."""

    @property
    def cases(self) -> tuple[tuple[SettingSeries, PlanPoint], ...]:
        """All cases, each once, with their settings; what was only predicted is none."""
        measured = (setting for setting in self.settings if setting.forecast is None)
        return tuple((setting, point) for setting in measured for point in setting.points if not point.is_lent)

    @property
    def runs(self) -> tuple[RunPoint, ...]:
        """All runs, in the order of the settings."""
        return tuple(run for _, point in self.cases for run in point.runs)
