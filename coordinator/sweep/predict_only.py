"""A sweep that is predicted and not measured: fronts and what to run where, by model, cluster and data plane."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coordinator.config.sections import DataPlane
from coordinator.config.sweep_file import SweepFile
from coordinator.results.values import Sweep
from coordinator.sweep.axes import emulated_axes
from coordinator.sweep.plan_choices import label_of
from coordinator.sweep.predicted import PREDICTED_SWEEP, PredictedSweep
from coordinator.sweep.predicting import predict_sweep
from coordinator.sweep.study import Study
from coordinator.sweep.words import recommendation
from coordinator.sweep.workers import Workers
from partitioner.codec import NO_CODEC
from partitioner.cost import CostModel
from partitioner.plan import Plan
from partitioner.serialize import load_artefact, save_artefact

FOLDER = "predicted"
OnStep = Callable[[str, float, str], None]
"""Called with what is predicted, the fraction done and a line for people."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What was predicted of one model at one batch on one cluster over one data plane."""

    name: str
    path: Path
    sentences: tuple[str, ...]
    n_conditions: int
    n_left_out: int
    """Plans of the sweep that use codecs: the front is searched without them."""


def predict_studies(
    file: SweepFile, sweep: Sweep, studies: Sequence[Study], folder: Path, *, workers: Workers, on_step: OnStep
) -> Iterator[Forecast]:
    """Predicts study by study, and writes each as an artefact into the sweep's folder.

    Raises:
        PlanError: Under no condition there is a plan.
        WorkersError: The workers are gone.
    """
    for study in studies:
        for plane in study.bare:
            name = f"{study.key.model} ×{study.key.batch} on {study.key.cluster}, {plane}"
            plans = _plans(sweep, study, plane)
            plain = [plan for plan in plans if all(stage.codec == NO_CODEC for stage in plan.stages)]
            found = _predict(
                file, study, plane, plain, workers=workers, on_progress=lambda *step, name=name: on_step(name, *step)
            )
            found = replace(found, sweep=sweep.name, model=study.key.model, data_plane=plane)
            path = folder / FOLDER / f"{_file_name(f'{sweep.name}, {name}')}.json"
            save_artefact(path, found, schema=PREDICTED_SWEEP, seed=sweep.seed, model_sha256=study.graph.model_sha256)
            yield Forecast(
                name=name,
                path=path,
                sentences=recommendation(found),
                n_conditions=len(found.conditions),
                n_left_out=len(plans) - len(plain),
            )


def load_forecasts(folder: Path, sweep: str) -> tuple[PredictedSweep, ...]:
    """What was predicted of a sweep into its folder, by file name; nothing where nothing was.

    That of older versions, which names no sweep, comes first: of two of one setting the last counts.

    Raises:
        ArtefactError: One cannot be read.
    """
    paths = sorted((folder / FOLDER).glob("*.json"))
    every = (load_artefact(path, PredictedSweep, schema=PREDICTED_SWEEP) for path in paths)
    return tuple(sorted((found for found in every if found.sweep in ("", sweep)), key=lambda found: found.sweep != ""))


def _predict(
    file: SweepFile,
    study: Study,
    plane: DataPlane,
    plans: Sequence[Plan],
    *,
    workers: Workers,
    on_progress: Callable[[float, str], None],
) -> PredictedSweep:
    (config,) = (choice.config for choice in file.clusters if choice.config.name == study.key.cluster)
    nodes = study.subsets[0]
    return predict_sweep(
        CostModel(study.graph, study.bare[plane], study.profile, window=study.window),
        file.conditions(config),
        apply=lambda condition: study.under[condition.name, plane].cluster,
        axes=lambda condition: emulated_axes(study.under[condition.name, plane]),
        plans=plans,
        label=lambda stages: label_of(stages, nodes),
        home=nodes[0],
        workers=workers,
        on_progress=on_progress,
    )


def _plans(sweep: Sweep, study: Study, plane: DataPlane) -> list[Plan]:
    """Those of the sweep's cases, each once."""
    plans = {
        case.plan.stages: case.plan
        for case in sweep.cases
        if (case.model, case.plan.batch, case.cluster, case.data_plane)
        == (study.key.model, study.key.batch, study.key.cluster, plane)
    }
    return list(plans.values())


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
