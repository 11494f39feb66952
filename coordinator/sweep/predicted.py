"""What is predicted of a model on a cluster under many network conditions: fronts, and what to run where."""

from dataclasses import dataclass
from typing import Literal

from partitioner.decisions.candidates import PlanKind
from partitioner.decisions.contraction import Contraction
from partitioner.decisions.cover import CoverCriterion
from partitioner.decisions.crossover import CrossoverMap
from partitioner.plan import Stage

PREDICTED_SWEEP = "predicted_sweep"
"""Name of the schema of a `PredictedSweep` as an artefact."""
Objective = Literal["latency", "throughput"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "throughput")
"""In the order of all pairs below. Regret of throughput is that of its inverse: 0.25 is 1.25 times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPlan:
    """One plan over all conditions."""

    label: str
    stages: tuple[Stage, ...]
    kind: PlanKind
    n_fronts: int
    """Conditions on whose front it is."""
    n_best: tuple[int, int]
    """Conditions under which it is the best in each objective."""
    worst_regret: tuple[float, float]
    """Over the conditions, in each objective; infinity where it is not possible under one."""
    mean_regret: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedCondition:
    """The front under one condition: plans by their index, least latency first. Empty where no plan is possible."""

    name: str
    delay_seconds: float | None
    """Of every link between devices, one way; None where links differ, or nobody says what they have."""
    bytes_per_second: float | None
    """As `delay_seconds`; infinity where it is not limited."""
    plans: tuple[int, ...]
    latency_seconds: tuple[float, ...]
    bottleneck_seconds: tuple[float, ...]
    """Of the busiest resource for one request of `batch` samples."""
    throughput_per_second: tuple[float, ...]
    """Samples per second."""
    is_link_bound: tuple[bool, ...]
    """Whether a link between devices is the bottleneck, or a medium that links share."""
    knee: int | None
    """The plan where the front bends most."""
    hypervolume: float
    """Of latency and bottleneck, against the sweep's reference."""
    contraction: Contraction
    """Of the split points that the front's plans use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedCover:
    """The best set of so many candidates, of which the best is run under each condition."""

    objective: Objective
    criterion: CoverCriterion
    plans: tuple[int, ...]
    regret: float
    bound: float
    """No set of so many candidates has less."""
    is_exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedSweep:
    """All of it. Plans are meant by their index in `plans`."""

    model_sha256: str
    batch: int
    cluster: str
    devices: tuple[str, ...]
    home: str
    """Where the inputs are."""
    window: int | None
    """Most requests in flight; None: what suits each plan."""
    engine: str
    """That found the fronts."""
    reference: tuple[float, float]
    """Of hypervolumes: latency and bottleneck in seconds."""
    conditions: tuple[PredictedCondition, ...]
    plans: tuple[PredictedPlan, ...]
    """Those on a front, those that were given, and those of `candidates`; the whole model on single devices first."""
    candidates: tuple[int, ...]
    """Plans among which the decisions below are: the whole model on each device, those given, all splits where
    there are two devices, and the best ones of the fronts."""
    latency_seconds: tuple[tuple[float, ...], ...]
    """Of each condition and candidate; infinity where it is not possible."""
    throughput_per_second: tuple[tuple[float, ...], ...]
    """As it; 0 where it is not possible."""
    crossover: tuple[CrossoverMap, ...]
    """Of latency and of throughput over delay and rate, by index in `plans`; empty where conditions are on no grid."""
    minimax: tuple[int, int]
    """The plan of least worst regret in each objective, among `n_judged`."""
    least_mean: tuple[int, int]
    """The plan of least mean regret in each objective."""
    covers: tuple[PredictedCover, ...]
    n_judged: int
    """Plans whose regret was computed under every condition: all that are on any front, and the candidates."""
    model: str = ""
    """Its name in a sweep; empty of what was predicted by itself. So the next."""
    data_plane: str = ""
    sweep: str = ""
    """Of which sweep it is; in files of older versions empty as well."""
