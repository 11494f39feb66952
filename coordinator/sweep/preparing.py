"""From a sweep's file to its studies: links probed bare, models profiled on all nodes; what is on disk is taken up."""

from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.coding import check_codecs, choose_codecs, profile_codecs
from coordinator.config.sections import DataPlane
from coordinator.config.sweep_file import ClusterChoice, SweepFile
from coordinator.errors import RunFolderError
from coordinator.opening import Progress
from coordinator.planning import probe_links
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import fit_spans, profile_fleet, spans_to_profile
from coordinator.run_folder import RunFolder
from coordinator.sweep.applying import apply_to, bare_config, check_conditions
from coordinator.sweep.folder import SweepFolder
from coordinator.sweep.origin import links_origin, study_origin
from coordinator.sweep.rig import Rig, fleet_under
from coordinator.sweep.study import Study, StudyKey
from partitioner.cluster import Cluster
from partitioner.codec import NO_CODEC, CodecTable
from partitioner.graph import Graph
from partitioner.profile import Profile
from partitioner.serialize import load_artefact, save_artefact


def check_file(file: SweepFile) -> None:
    """Does nothing where the sweep's conditions and codecs can be had, as far as that shows before nodes are started.

    Raises:
        ConditionError: A condition cannot be applied.
    """
    check_codecs(file.config.codecs)
    for choice in file.clusters:
        check_conditions(choice.config, file.conditions(choice.config))


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Makes the studies of a sweep. Nodes are started, and models loaded, only for what the folder lacks.

    What was made from another description of a cluster or model is not taken up, whatever its name.
    """

    file: SweepFile
    folder: SweepFolder
    rig: Rig
    progress: Progress
    cache: ProfileCache | None = None
    """Times of earlier runs."""

    def studies(self) -> tuple[Study, ...]:
        """All studies, in the order of the file.

        Raises:
            ConditionError: A condition cannot be had.
            NodeError: A node failed.
            ModelError: A model cannot be used.
            OSError: A file of a model cannot be read.
        """
        check_file(self.file)
        return tuple(study for choice in self.file.clusters for study in self._of_cluster(choice))

    def _of_cluster(self, choice: ClusterChoice) -> Iterator[Study]:
        bare = {plane: self._bare_cluster(choice, plane) for plane in self.file.config.data_planes}
        under = {
            (condition.name, plane): apply_to(
                choice.config, cluster, condition, plane=plane, trace=self.file.traces.get(condition.name, ())
            )
            for condition in self.file.conditions(choice.config)
            for plane, cluster in bare.items()
        }
        for model in self.file.config.models:
            origin = study_origin(self.file.config, choice.config, model)
            for batch in self.file.config.batches:
                key = StudyKey(model=model.label, batch=batch, cluster=choice.config.name)
                run = self.folder.study(key.cluster, key.model, key.batch, origin)
                yield Study(
                    key=key,
                    subsets=choice.subsets,
                    graph=self._graph(key, run),
                    profile=run.load("profile", Profile),
                    codecs=self._codecs(key, run),
                    bare=bare,
                    under=under,
                    window=self.file.config.window,
                )

    def _bare_cluster(self, choice: ClusterChoice, plane: DataPlane) -> Cluster:
        """The cluster with its links as they are, nothing emulated."""
        name = choice.config.name
        path = self.folder.bare_cluster(name, plane, links_origin(choice.config, plane))
        if path.is_file():
            return load_artefact(path, Cluster)
        fleet = fleet_under(self.rig.fleet(name), bare_config(choice.config, plane))
        for node in fleet.nodes:
            node.data_address(plane)
        with self.progress.progress(f"Probing the links of {name} over {plane}") as on_lane:
            cluster = probe_links(fleet, lambda what, n_done, n_total: on_lane("links", n_done, n_total, what))
        save_artefact(path, cluster, seed=self.file.config.seed)
        return cluster

    def _graph(self, key: StudyKey, run: RunFolder) -> Graph:
        """The graph; where the model was not profiled yet, it is first."""
        if not run.has("profile"):
            run.make()
            model, fleet, seed = (
                self.rig.model(key.model, key.batch),
                self.rig.fleet(key.cluster),
                self.file.config.seed,
            )
            graph = model.graph
            spans = spans_to_profile(graph.n_units, seed)
            with self.progress.progress(f"Profiling {key.model}, batch {key.batch}, on {key.cluster}") as on_lane:
                profile = profile_fleet(
                    fleet,
                    model,
                    {
                        node.name: fit_spans(spans, graph.n_units, graph.weight_bytes, node.device.memory_bytes)
                        for node in fleet.nodes
                    },
                    budget_seconds=self.file.config.profile_seconds,
                    seed=seed,
                    on_progress=on_lane,
                    cache=self.cache,
                )
            run.save("graph", graph, seed=seed, model_sha256=graph.model_sha256)
            run.save("profile", profile, seed=seed, model_sha256=graph.model_sha256)
        return run.load("graph", Graph)

    def _codecs(self, key: StudyKey, run: RunFolder) -> CodecTable | None:
        """What the sweep's codecs do to the model; None without any."""
        wanted = [codec for codec in self.file.config.codecs if codec != NO_CODEC]
        if wanted and not run.has("codecs"):
            model, fleet, seed = (
                self.rig.model(key.model, key.batch),
                self.rig.fleet(key.cluster),
                self.file.config.seed,
            )
            with self.progress.progress(f"Measuring codecs {', '.join(wanted)}") as on_lane:
                table = profile_codecs(fleet, model, choose_codecs(fleet, wanted), seed=seed, on_progress=on_lane)
            run.save("codecs", table, seed=seed, model_sha256=model.graph.model_sha256)
        return run.load("codecs", CodecTable) if wanted else None


def check_model(study: Study, model_sha256: str) -> None:
    """Does nothing where a study is of a model.

    Raises:
        RunFolderError: It is of another one.
    """
    if study.graph.model_sha256 != model_sha256:
        raise RunFolderError(
            f"{study.key.model} is not the model that this sweep was begun with (digest {model_sha256[:12]}…, the "
            f"sweep has {study.graph.model_sha256[:12]}…): start a new sweep in a new folder (--out)."
        )
