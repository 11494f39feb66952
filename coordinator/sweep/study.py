"""What is known before a sweep's cases are chosen: a model at a batch on a cluster, under each condition."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from coordinator.config.sections import DataPlane
from coordinator.sweep.applying import Applied
from partitioner.cluster import Cluster
from partitioner.codec import CodecTable
from partitioner.cost import CostModel
from partitioner.graph import Graph
from partitioner.profile import Profile


@dataclass(frozen=True, kw_only=True)
class StudyKey:
    """Names a study."""

    model: str
    batch: int
    cluster: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """One model at one batch on one cluster."""

    key: StudyKey
    subsets: tuple[tuple[str, ...], ...]
    """Nodes that plans may use, in the order of the flow, each subset by itself."""
    graph: Graph
    profile: Profile
    codecs: CodecTable | None
    bare: Mapping[DataPlane, Cluster]
    """The cluster by data plane, its links as they are, nothing emulated."""
    under: Mapping[tuple[str, DataPlane], Applied]
    """The cluster by (condition, data plane)."""
    window: int | None = None
    """Most requests in flight; None: what suits each plan."""
    _models: dict[tuple[str, DataPlane], CostModel] = field(default_factory=dict)

    def cost_model(self, condition: str, plane: DataPlane) -> CostModel:
        """What plans cost under a condition; its tables are made once."""
        found = self._models.get((condition, plane))
        if found is None:
            cluster = self.under[condition, plane].cluster
            found = CostModel(self.graph, cluster, self.profile, codecs=self.codecs, window=self.window)
            self._models[condition, plane] = found
        return found
