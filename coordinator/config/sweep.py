"""`sweep.yaml`: models × clusters × network conditions × batches × codecs × data planes × plans, as one value."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema

from coordinator.config.cluster import ClusterConfig
from coordinator.config.conditions import ConditionConfig
from coordinator.config.faults import nearest
from coordinator.config.quantities import Share, SpanSeconds
from coordinator.config.sections import DataPlane, Name, ReadableFile, Section
from coordinator.config.words import OrWord
from coordinator.sweep.network_profiles import AS_IS, PROFILES

ScenarioName = Literal["single_stream", "offline"]
SCENARIOS: tuple[ScenarioName, ...] = ("single_stream", "offline")
EVERY = ("block-level", "all", "front")
Count = Annotated[StrictInt, Field(ge=1, le=100_000)]
CodecName = Literal["none", "float16", "int8", "zstd", "lz4"]


def _check_profile(name: str) -> str:
    if name != AS_IS and name not in PROFILES:
        raise ValueError(f"there is no network profile '{name[:64]}': {nearest(name, (AS_IS, *PROFILES))}")
    return name


def _listed(splits: Any) -> Any:
    """A lone split point is a plan of two stages."""
    is_list = isinstance(splits, list | tuple)
    return [[entry] if isinstance(entry, int) else entry for entry in splits] if is_list else splits


_POINT: dict[str, object] = {"type": "integer", "minimum": 1}
ProfileName = Annotated[
    StrictStr, AfterValidator(_check_profile), WithJsonSchema({"type": "string", "enum": [AS_IS, *PROFILES]})
]
Splits = Annotated[
    tuple[Annotated[tuple[Count, ...], Field(min_length=1)], ...],
    BeforeValidator(_listed),
    WithJsonSchema({"type": "array", "items": {"anyOf": [_POINT, {"type": "array", "items": _POINT, "minItems": 1}]}}),
]


def last_part(source: str) -> str:
    """What a model is called that has no name of its own: `net` of `models/net.onnx` and of `package.module:net`."""
    return Path(source.rpartition(":")[2]).stem


class SweptModel(Section):
    """A model of the sweep."""

    source: StrictStr
    """A name of the zoo, a file, or `package.module:factory`."""
    name: Name | None = None
    """In results, unique in the sweep; None: the last part of `source`."""
    dims: dict[StrictStr, Count] = {}  # noqa: RUF012 - pydantic copies it
    """Sizes of free dimensions."""
    weights: ReadableFile | None = None
    """State dict, for a zoo model or a factory."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    """Of weights that are made up: not that of the sweep, so that another order measures the same model."""

    @property
    def label(self) -> str:
        """Name in results."""
        return self.name or last_part(self.source)


class SweptCluster(Section):
    """A cluster of the sweep: one of `file`, `local` and `cluster`."""

    file: ReadableFile | None = None
    """A cluster file."""
    local: Annotated[StrictInt, Field(ge=1, le=64)] | None = None
    """So many nodes on this machine."""
    cluster: ClusterConfig | None = None
    """The content of a cluster file."""
    subsets: tuple[tuple[Name, ...], ...] = ()
    """Nodes that plans may use, in the order of the flow, each subset by itself; none: all nodes in their order."""


class SweptCondition(ConditionConfig):
    """A state of the network: changes of its own, or those of a profile."""

    profile: ProfileName | None = None
    """Begins with a named one, which `default` and `between` change further."""
    trace: ReadableFile | None = None
    """A recorded bandwidth trace (CSV: seconds, rate, and delay where wanted), which every link follows that has no
    rate of its own in `between`, from its first message on, again and again."""


class PlanChoice(Section):
    """Which plans: one of these keys. The whole model on each node is always among them."""

    every: Literal["block-level", "all", "front"] | None = None
    """Every split point that one tensor crosses, every one, or the predicted front under any of the conditions."""
    spread: Count | None = None
    """So many block-level split points, far and wide."""
    random: Count | None = None
    """So many plans at random: nodes, their number, and split points."""
    splits: Splits = ()
    """Given split points; several for a plan of more stages, on the first nodes of each subset."""


class RepeatsConfig(Section):
    """How often each case is measured."""

    least: Count = 3
    most: Count = 10
    interval: Share | None = 0.05
    """A case is left alone once half the 95 % interval over its runs, of each figure, is at most this share of it."""
    budget_seconds: SpanSeconds | None = Field(default=None, alias="budget")
    """Once all runs together have taken so long, no case gets more than the least."""
    attempts: Annotated[StrictInt, Field(ge=1, le=20)] = 3
    """Of a repeat whose condition was not in force, or that failed."""


class EffortConfig(Section):
    """How long each scenario of a run is measured: whichever is used up first, but `least` requests."""

    seconds: SpanSeconds = 2.0
    requests: Count = 500
    least: Annotated[StrictInt, Field(ge=2, le=1000)] = 10
    warmup: Count = 3


class SweepConfig(Section):
    """The whole file. Made by `load_sweep`, which checks what holds between its parts."""

    name: Name
    """Of the sweep, and unique in a store of results."""
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)] = 0
    """Of the order, of random plans, and of inputs."""
    models: Annotated[tuple[Annotated[SweptModel, OrWord(lambda word: {"source": word})], ...], Field(min_length=1)]
    clusters: Annotated[tuple[Annotated[SweptCluster, OrWord(lambda word: {"file": word})], ...], Field(min_length=1)]
    conditions: Annotated[
        tuple[Annotated[SweptCondition, OrWord(lambda word: {"name": word, "profile": word})], ...],
        Field(min_length=1),
    ]
    batches: Annotated[tuple[Count, ...], Field(min_length=1)] = (1,)
    codecs: Annotated[tuple[CodecName, ...], Field(min_length=1)] = ("none",)
    """Of every boundary of a plan."""
    data_planes: Annotated[tuple[DataPlane, ...], Field(min_length=1)] = ("grpc",)
    """Over all links."""
    plans: Annotated[
        tuple[Annotated[PlanChoice, OrWord(lambda word: {"every": word}, EVERY)], ...], Field(min_length=1)
    ]
    scenarios: Annotated[tuple[ScenarioName, ...], Field(min_length=1)] = SCENARIOS
    window: Count | None = None
    """Most requests in flight; None: what suits each plan as predicted."""
    repeats: RepeatsConfig = RepeatsConfig()
    effort: EffortConfig = EffortConfig()
    profile_seconds: SpanSeconds = Field(default=20.0, alias="profile")
    """For profiling each model on each node."""


def quick(config: SweepConfig) -> SweepConfig:
    """The same cases, each measured once with as few requests as give its figures: for a look, not for results."""
    once = {"least": 1, "most": 1}
    brief = {"seconds": min(config.effort.seconds, 0.25), "requests": 5, "least": 2, "warmup": 1}
    return config.model_copy(
        update={
            "repeats": config.repeats.model_copy(update=once),
            "effort": config.effort.model_copy(update=brief),
            "profile_seconds": min(config.profile_seconds, 2.0),
        }
    )
