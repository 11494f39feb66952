"""From a sweep's file to its studies: links probed bare, models profiled on all nodes; what is on disk is taken up."""

from collections.abc import Iterator

from coordinator.coding import check_codecs, choose_codecs, profile_codecs
from coordinator.config.sections import DataPlane
from coordinator.config.sweep_file import ClusterChoice, SweepFile
from coordinator.errors import RunFolderError
from coordinator.opening import Progress
from coordinator.planning import probe_links
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import fit_spans, profile_fleet, spans_to_profile
from coordinator.sweep.applying import apply_to, bare_config, check_conditions
from coordinator.sweep.folder import SweepFolder
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


def prepare(
    file: SweepFile, rig: Rig, folder: SweepFolder, progress: Progress, cache: ProfileCache | None = None
) -> tuple[Study, ...]:
    """All studies of a sweep. Nodes are started, and models loaded, only for what the folder lacks.

    Raises:
        ConditionError: A condition cannot be had.
        NodeError: A node failed.
        ModelError: A model cannot be used.
        RunFolderError: The folder holds studies of another model.
    """
    check_file(file)
    return tuple(
        study for choice in file.clusters for study in _cluster_studies(choice, file, rig, folder, progress, cache)
    )


def _cluster_studies(
    choice: ClusterChoice,
    file: SweepFile,
    rig: Rig,
    folder: SweepFolder,
    progress: Progress,
    cache: ProfileCache | None,
) -> Iterator[Study]:
    bare = {plane: _bare_cluster(choice, plane, rig, folder, progress) for plane in file.config.data_planes}
    under = {
        (condition.name, plane): apply_to(choice.config, cluster, condition, plane=plane)
        for condition in file.conditions(choice.config)
        for plane, cluster in bare.items()
    }
    for model in file.config.models:
        for batch in file.config.batches:
            key = StudyKey(model=model.label, batch=batch, cluster=choice.config.name)
            graph, profile, codecs = _studied(key, file, rig, folder, progress, cache)
            yield Study(
                key=key, subsets=choice.subsets, graph=graph, profile=profile, codecs=codecs, bare=bare, under=under
            )


def _bare_cluster(
    choice: ClusterChoice, plane: DataPlane, rig: Rig, folder: SweepFolder, progress: Progress
) -> Cluster:
    """The cluster with its links as they are, nothing emulated."""
    name = choice.config.name
    path = folder.bare_cluster(name, plane)
    if path.is_file():
        return load_artefact(path, Cluster)
    fleet = fleet_under(rig.fleet(name), bare_config(choice.config, plane))
    for node in fleet.nodes:
        node.data_address(plane)
    with progress.progress(f"Probing the links of {name} over {plane}") as on_lane:
        cluster = probe_links(fleet, lambda what, n_done, n_total: on_lane("links", n_done, n_total, what))
    save_artefact(path, cluster, seed=0)
    return cluster


def _studied(
    key: StudyKey, file: SweepFile, rig: Rig, folder: SweepFolder, progress: Progress, cache: ProfileCache | None
) -> tuple[Graph, Profile, CodecTable | None]:
    run, wanted = folder.study(key.cluster, key.model, key.batch), [c for c in file.config.codecs if c != NO_CODEC]
    seed = file.config.seed
    if not run.has("profile"):
        run.make()
        model, fleet = rig.model(key.model, key.batch), rig.fleet(key.cluster)
        graph = model.graph
        spans = spans_to_profile(graph.n_units, seed)
        with progress.progress(f"Profiling {key.model}, batch {key.batch}, on {key.cluster}") as on_lane:
            profile = profile_fleet(
                fleet,
                model,
                {
                    node.name: fit_spans(spans, graph.n_units, graph.weight_bytes, node.device.memory_bytes)
                    for node in fleet.nodes
                },
                budget_seconds=file.config.profile_seconds,
                seed=seed,
                on_progress=on_lane,
                cache=cache,
            )
        run.save("graph", graph, seed=seed, model_sha256=graph.model_sha256)
        run.save("profile", profile, seed=seed, model_sha256=graph.model_sha256)
    if wanted and not run.has("codecs"):
        model, fleet = rig.model(key.model, key.batch), rig.fleet(key.cluster)
        with progress.progress(f"Measuring codecs {', '.join(wanted)}") as on_lane:
            table = profile_codecs(fleet, model, choose_codecs(fleet, wanted), seed=seed, on_progress=on_lane)
        run.save("codecs", table, seed=seed, model_sha256=model.graph.model_sha256)
    codecs = run.load("codecs", CodecTable) if wanted else None
    return run.load("graph", Graph), run.load("profile", Profile), codecs


def check_model(study: Study, model_sha256: str) -> None:
    """Does nothing where a study is of a model.

    Raises:
        RunFolderError: It is of another one.
    """
    if study.graph.model_sha256 != model_sha256:
        raise RunFolderError(
            f"{study.key.model} is not the model that this sweep was begun with (digest {model_sha256[:12]}…, the "
            f"sweep has {study.graph.model_sha256[:12]}…): start a new sweep."
        )
