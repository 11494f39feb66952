"""Opens the model of a run, and says where progress is shown; light, since `splitfront inspect` needs no more."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from coordinator.errors import RunFolderError
from coordinator.run_folder import RunSettings
from partitioner.onnx_io import Model, inputs_digest, load_model, read_inputs

OnLane = Callable[[str, int, int, str], None]
"""Called with a lane's name, done, total and what is being done; from several threads."""


class Progress(Protocol):
    """Where progress is shown."""

    def progress(self, title: str) -> AbstractContextManager[OnLane]:
        """Lanes of one step, for as long as the context lasts."""
        ...


def open_model(settings: RunSettings, progress: Progress) -> Model:
    """The run's model, loaded; checked against the run's digest where that is known.

    Raises:
        ModelError: It cannot be used.
        RunFolderError: The file, or that of the inputs, changed since the run was made.
    """
    if ":" in settings.source and not Path(settings.source).exists():
        # `package.module:factory` is looked for where the user stands, as `python -m` does.
        sys.path.insert(0, str(Path.cwd()))
    with progress.progress(f"Loading {settings.source}"):
        model = load_model(
            settings.source,
            batch=settings.batch,
            dims=settings.dims,
            inputs=read_inputs(Path(settings.inputs)) if settings.inputs else {},
            weights=Path(settings.weights) if settings.weights else None,
            seed=settings.seed,
        )
    if settings.model_sha256 and settings.model_sha256 != model.graph.model_sha256:
        raise RunFolderError(
            f"{settings.source} is not the model that this run was made with (digest "
            f"{model.graph.model_sha256[:12]}…, the run has {settings.model_sha256[:12]}…): start a new run."
        )
    if settings.inputs_sha256 and settings.inputs_sha256 != inputs_digest(model.given_inputs):
        raise RunFolderError(f"{settings.inputs} holds other arrays than when this run was made: start a new run.")
    return model
