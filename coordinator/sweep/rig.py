"""Models and nodes of a sweep, opened when first needed and shared by all of its runs."""

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from coordinator.config import ClusterConfig
from coordinator.config.sweep_file import SweepFile
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import Workload, make_workload
from coordinator.opening import Progress, open_model
from coordinator.run_folder import RunSettings
from coordinator.sweep.folder import SweepFolder
from partitioner.cluster import CLIENT
from partitioner.onnx_io import Model


class Rig:
    """What runs share: agents are started, weights sent, and models loaded once. Not to be shared between threads."""

    def __init__(self, file: SweepFile, folder: SweepFolder, progress: Progress) -> None:
        """Opens nothing yet."""
        self._file = file
        self._folder = folder
        self._progress = progress
        self._models: dict[tuple[str, int], Model] = {}
        self._workloads: dict[tuple[str, int], Workload] = {}
        self._fleets: dict[str, tuple[Fleet, ExitStack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as all_of_them:
            for _, stack in self._fleets.values():
                all_of_them.push(stack)
            self._fleets = {}

    def settings(self, model: str, batch: int) -> RunSettings:
        """What a model of the sweep is loaded with."""
        swept = next(each for each in self._file.config.models if each.label == model)
        return RunSettings(
            source=swept.source,
            model_sha256="",
            cluster="",
            batch=batch,
            dims=swept.dims,
            weights=str(swept.weights) if swept.weights else None,
            seed=swept.seed,
        )

    def model(self, model: str, batch: int) -> Model:
        """A model by its name in the sweep.

        Raises:
            ModelError: It cannot be used.
        """
        if (model, batch) not in self._models:
            self._models[model, batch] = open_model(self.settings(model, batch), self._progress)
        return self._models[model, batch]

    def workload(self, model: str, batch: int) -> Workload:
        """What a model's plans are measured on."""
        if (model, batch) not in self._workloads:
            self._workloads[model, batch] = make_workload(self.model(model, batch), seed=self._file.config.seed)
        return self._workloads[model, batch]

    def fleet(self, cluster: str) -> Fleet:
        """The nodes of a cluster, as it is described.

        Raises:
            NodeDownError: Some cannot be started or reached.
        """
        if cluster not in self._fleets:
            config = next(choice.config for choice in self._file.clusters if choice.config.name == cluster)
            with ExitStack() as stack:
                fleet = stack.enter_context(connect_fleet(config, run_dir=self._folder.nodes(cluster)))
                self._fleets[cluster] = fleet, stack.pop_all()
        return self._fleets[cluster][0]

    def renew(self, cluster: str) -> None:
        """Lets go of a cluster's nodes; the next who wants them starts, or reaches, them anew."""
        if cluster in self._fleets:
            _, stack = self._fleets.pop(cluster)
            stack.close()


def fleet_under(fleet: Fleet, config: ClusterConfig) -> Fleet:
    """The same nodes with the links and data planes of another description of their cluster."""
    nodes = tuple(
        replace(
            node,
            input_plane=config.plane_of(CLIENT, node.name),
            output_plane=config.plane_of(node.name, CLIENT),
        )
        for node in fleet.nodes
    )
    return Fleet(config=config, nodes=nodes)
