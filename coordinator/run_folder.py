"""A run on disk: what was asked, and the artefact of each step, so that any step can start from there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from coordinator.correction import Correction
from coordinator.errors import RunFolderError
from coordinator.measurement import Measurement
from coordinator.serving.served import Served
from coordinator.wishes import SearchWish, Wishes
from partitioner.cluster import Cluster
from partitioner.codec import CodecTable
from partitioner.graph import Graph
from partitioner.plan import Candidate
from partitioner.profile import Profile
from partitioner.search.result import SearchResult
from partitioner.search.robust.result import RobustResult
from partitioner.serialize import load_artefact, save_artefact

T = TypeVar("T")
DEMO = "demo"
TRACE_FILE = "trace.json"
"""Requests of the measured plan, for ui.perfetto.dev; nothing reads it again."""
LOCAL = "local:"
"""Clusters that need no file, as `RunSettings.cluster` names them."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What was asked for: enough to take the run up again."""

    source: str
    """Model, as the user named it; a file by its absolute path."""
    model_sha256: str
    cluster: str
    """Absolute path of a cluster file, `demo`, or `local:N`."""
    batch: int | None = None
    """None: what the inputs have, or 1."""
    dims: Mapping[str, int] = field(default_factory=dict)
    inputs: str | None = None
    """Absolute path of the arrays that the model is run on; random ones where None."""
    inputs_sha256: str = ""
    weights: str | None = None
    seed: int = 0
    command: tuple[str, ...] = ()
    """The arguments that made the run, the program first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file of a run folder and the step that writes it."""

    file: str
    type: type
    made_by: str


ARTEFACTS = {
    artefact.file.removesuffix(".json"): artefact
    for artefact in (
        Artefact(file="run.json", type=RunSettings, made_by="profile"),
        Artefact(file="graph.json", type=Graph, made_by="profile"),
        Artefact(file="profile.json", type=Profile, made_by="profile"),
        Artefact(file="cluster.json", type=Cluster, made_by="profile"),
        Artefact(file="codecs.json", type=CodecTable, made_by="profile --codecs"),
        Artefact(file="correction.json", type=Correction, made_by="run"),
        Artefact(file="front.json", type=SearchResult, made_by="search"),
        Artefact(file="wishes.json", type=Wishes, made_by="search"),
        Artefact(file="robust.json", type=RobustResult, made_by="robust"),
        Artefact(file="plan.json", type=Candidate, made_by="plan"),
        Artefact(file="deployment.json", type=Served, made_by="deploy"),
        Artefact(file="measurement.json", type=Measurement, made_by="bench"),
        Artefact(file="live_profile.json", type=Profile, made_by="bench"),
    )
}


class RunFolder:
    """Reads and writes the artefacts of one run. Each file is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Makes the folder.

        Raises:
            RunFolderError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"Cannot make the run folder {self.path}: {error.strerror}.") from error

    def has(self, name: str) -> bool:
        """Whether the artefact of this name is there."""
        return (self.path / ARTEFACTS[name].file).is_file()

    def clear(self) -> None:
        """Removes the artefacts of an earlier run, so that no step takes up what belongs to another model."""
        for file in (*(artefact.file for artefact in ARTEFACTS.values()), TRACE_FILE):
            (self.path / file).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Removes an artefact, where it is there."""
        (self.path / ARTEFACTS[name].file).unlink(missing_ok=True)

    def save(self, name: str, value: object, *, seed: int, model_sha256: str) -> Path:
        """Writes an artefact."""
        path = self.path / ARTEFACTS[name].file
        save_artefact(path, value, schema=name, seed=seed, model_sha256=model_sha256)
        return path

    def load(self, name: str, kind: type[T]) -> T:
        """Reads an artefact.

        Raises:
            RunFolderError: The step that makes it has not run here.
            ArtefactError: The file is damaged or of another schema.
        """
        artefact = ARTEFACTS[name]
        if not self.has(name):
            raise RunFolderError(
                f"{self.path} holds no {artefact.file}: run `splitfront {artefact.made_by}` for it first."
            )
        return load_artefact(self.path / artefact.file, kind, schema=name)


def load_wishes(folder: RunFolder) -> Wishes:
    """What the plan was searched and chosen by; the defaults in folders of older versions."""
    return folder.load("wishes", Wishes) if folder.has("wishes") else Wishes(search=SearchWish())
