"""What was asked for, from the options of a command to the settings of a run."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from coordinator.run_folder import DEMO, LOCAL, RunFolder, RunSettings


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    model: str
    cluster_file: Path | None = None
    n_local: int | None = None
    is_demo: bool = False
    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    inputs: Path | None = None
    weights: Path | None = None
    seed: int = 0
    folder: Path | None = None

    @property
    def cluster(self) -> str:
        """The cluster, as `RunSettings` names it.

        Raises:
            click.UsageError: None was named, or two.
        """
        if self.is_demo:
            return DEMO
        if (self.cluster_file is None) == (self.n_local is None):
            raise click.UsageError("Say which machines: --cluster FILE, or --local N for nodes on this machine.")
        return f"{LOCAL}{self.n_local}" if self.cluster_file is None else str(self.cluster_file.resolve())

    def settings(self, *, cluster: str) -> RunSettings:
        """What goes into the run folder."""
        is_file = Path(self.model).is_file()
        return RunSettings(
            source=str(Path(self.model).resolve()) if is_file else self.model,
            model_sha256="",
            cluster=cluster,
            batch=self.batch,
            dims=self.dims,
            inputs=str(self.inputs.resolve()) if self.inputs else None,
            weights=str(self.weights.resolve()) if self.weights else None,
            seed=self.seed,
            command=("splitfront", *sys.argv[1:]),
        )

    def run_folder(self) -> RunFolder:
        """Where the run goes."""
        from coordinator.config.sweep import last_part  # noqa: PLC0415 - `inspect` has no folder: it imports late

        return RunFolder(self.folder or Path("runs") / last_part(self.model))
