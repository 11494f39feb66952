"""Keeps what was dear to find out: exported models, and what onnxruntime fuses in a model."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnx
import onnxruntime

from partitioner.errors import ModelFileError
from partitioner.onnx_io.reader import SourceModel, read_model


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/splitfront/models`, or the same under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "splitfront" / "models"


class ModelCache:
    """A flat folder: graphs named by what they were made from or hold, weights by their digest, as in a node's store.

    Every file is written under another name and renamed, a graph after its weights: processes may share the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str, name: str) -> SourceModel | None:
        """The model stored under `key`; None where it is not there, or not whole any more."""
        path = self._path_of(key.encode())
        if not path.is_file():
            return None
        with suppress(ModelFileError):  # a damaged entry is made again
            return read_model(path, name=name, trusted=True)
        return None

    def store(self, key: str | None, model: SourceModel) -> SourceModel:
        """Stores a model with its weights and returns it as it will be loaded.

        Args:
            key: What `load` will ask for; None for a model that is known by its content alone, which none replaces.
            model: As it was exported.

        Raises:
            ModelFileError: The folder cannot be written.
        """
        content = model.proto.SerializeToString(deterministic=True)  # with the digests of the weights in it
        path = self._path_of(content if key is None else key.encode())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for digest in model.store.digests():
                target = self.folder / digest
                if not target.is_file() or target.stat().st_size != model.store.n_bytes(digest):
                    self._write(target, model.store.read(digest))
            self._write(path, content)
        except OSError as exc:
            raise ModelFileError(
                f"Cannot keep the exported model in {self.folder}: {exc.strerror}: set XDG_CACHE_HOME to a folder "
                "that can be written"
            ) from exc
        return read_model(path, name=model.name, trusted=True)

    def survivors(self, proto: onnx.ModelProto, find: Callable[[], dict[str, int]]) -> dict[str, int]:
        """What `find` returns for a graph, or returned before under the same onnxruntime."""
        content = proto.SerializeToString(deterministic=True) + onnxruntime.__version__.encode()
        path = self.folder / f"fused-{hashlib.sha256(content).hexdigest()}.json"
        with suppress(OSError, ValueError, AttributeError, TypeError):  # a damaged entry is made again
            return {str(name): int(index) for name, index in json.loads(path.read_text()).items()}
        found = find()
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(path, json.dumps(found).encode())
        return found

    def _path_of(self, identity: bytes) -> Path:
        return self.folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.onnx"

    def _write(self, target: Path, content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(target)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
