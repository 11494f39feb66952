"""From a bundle to its figures and tables, drawn again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coordinator.bundle.archive import Manifest, unpack
from coordinator.bundle.packing import RESULTS
from coordinator.errors import BundleError
from coordinator.report.write import draw_objectives
from coordinator.results.csv_files import read_csv
from coordinator.results.exchange import keep
from coordinator.results.store import open_store
from coordinator.results.values import Run, Sweep
from coordinator.run_folder import RunFolder
from coordinator.steps import report_step
from partitioner.search.result import SearchResult
from partitioner.search.robust.result import RobustResult

DrawSweep = Callable[[Sweep, tuple[Run, ...], Path], Sequence[Path]]
"""Writes the report of a sweep into a folder, and returns its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of a bundle."""

    manifest: Manifest
    drawn: tuple[Path, ...]


def replay(bundle: Path, folder: Path, *, draw_sweep: DrawSweep) -> Replayed:
    """Unpacks a bundle into a new folder and draws what it holds.

    Raises:
        BundleError: It is none, is damaged, or the folder is in use.
        ResultStoreError: Its results are damaged.
        ArtefactError: An artefact of it cannot be read.
        OSError: A picture cannot be written.
    """
    manifest = unpack(bundle, folder)
    drawn = _draw_run(RunFolder(folder)) if manifest.kind == "run" else _draw_sweeps(folder, draw_sweep)
    return Replayed(manifest=manifest, drawn=drawn)


def _draw_run(folder: RunFolder) -> tuple[Path, ...]:
    """What the commands drew as the run went on, as far as it went."""
    drawn: list[Path] = []
    if all(map(folder.has, ("graph", "cluster", "profile", "front"))) and any(map(folder.has, ("plan", "measurement"))):
        drawn += report_step(folder)
    if folder.has("front"):
        objectives = draw_objectives(folder.path, folder.load("front", SearchResult))
        drawn += [] if objectives is None else [objectives]
    if folder.has("robust"):
        from coordinator.report.robust_drawing import write_robust  # noqa: PLC0415 - slow to import

        drawn += write_robust(folder.path, folder.load("robust", RobustResult))
    return tuple(drawn)


def _draw_sweeps(folder: Path, draw_sweep: DrawSweep) -> tuple[Path, ...]:
    """Each sweep into the folder, or into one of its own where there are several; the store is there again as well."""
    if not (folder / RESULTS).is_dir():
        raise BundleError(f"The bundle in {folder} is one of a sweep, but holds no {RESULTS}.")
    drawn: list[Path] = []
    with open_store(str(folder)) as store:
        names = keep(read_csv(folder / RESULTS), store).sweeps
        for number, name in enumerate(names, 1):
            target = folder if len(names) == 1 else folder / f"sweep-{number}"
            target.mkdir(exist_ok=True)
            drawn += draw_sweep(store.sweep(name), store.runs(name, with_samples=True), target)
    return tuple(drawn)
