"""Where models come from: files, torch programs, factories, and the zoo."""

import contextlib
import difflib
import hashlib
import importlib
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from partitioner.errors import ModelError, ModelFileError, UnknownModelError
from partitioner.onnx_io.export_cache import ModelCache
from partitioner.onnx_io.foreign_code import failure_words
from partitioner.onnx_io.reader import SourceModel, read_model

ZOO = {
    "alexnet": 224,
    "inception_v3": 299,
    "mobilenet_v2": 224,
    "resnet18": 224,
    "resnet50": 224,
    "vgg16": 224,
}
"""Models of torchvision by name → height and width of their input."""

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_EXPORT_PACKAGES = ("torch", "torchvision", "onnxscript")
_CACHE_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """What a caller of `load_model` asked for."""

    source: str
    batch: int
    weights: Path | None
    seed: int


def open_source(request: SourceRequest, cache: ModelCache) -> SourceModel:
    """The model as an ONNX file, exported first where it comes from torch.

    Raises:
        ModelError: As `load_model`.
    """
    source = request.source
    if source in ZOO:
        return _from_zoo(request, cache)
    path = Path(source)
    if path.suffix == ".pt2":
        _refuse_weights(request)
        return _from_program(path, cache)
    if path.suffix in (".pt", ".pth", ".safetensors"):
        raise _no_network(path)
    if path.suffix == ".onnx" or path.exists() or "/" in source:
        _refuse_weights(request)
        return read_model(path, name=path.stem)
    if _FACTORY.fullmatch(source):
        return _from_factory(request, cache)
    if ":" in source:
        raise ModelError(f"{source!r} is no factory: write it as package.module:function")
    raise _unknown(source)


def _no_network(path: Path) -> ModelFileError:
    if not path.is_file():
        return ModelFileError(f"No such file: {path}")
    if _is_torchscript(path):
        return ModelFileError(
            f"{path} holds a network of TorchScript, which is not read: export it to .onnx, or by torch.export to .pt2"
        )
    return ModelFileError(
        f"{path} is read for its weights alone: name a zoo model or a module:factory and pass the file as --weights"
    )


def _is_torchscript(path: Path) -> bool:
    with contextlib.suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
    return False


def _unknown(source: str) -> UnknownModelError:
    near = difflib.get_close_matches(source, ZOO, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the zoo has {', '.join(sorted(ZOO))}"
    return UnknownModelError(f"No model named {source!r}: {hint} (or give a path of an .onnx file)")


def _refuse_weights(request: SourceRequest) -> None:
    if request.weights is not None:
        raise ModelError(
            f"{request.source} has its weights in it: pass a weights file only with zoo models and factories"
        )


def _from_zoo(request: SourceRequest, cache: ModelCache) -> SourceModel:
    key = _key(
        zoo=request.source,
        batch=request.batch,
        seed=request.seed,
        weights=_file_digest(request.weights) if request.weights else None,
    )
    size = ZOO[request.source]
    return cache.load(key, request.source) or _export(
        cache,
        key,
        request.source,
        lambda target: _torch_door().export_zoo_model(
            request.source,
            (request.batch, 3, size, size),
            seed=request.seed,
            weights=request.weights,
            target=target,
        ),
    )


def _from_program(path: Path, cache: ModelCache) -> SourceModel:
    key = _key(program=_file_digest(path))
    return cache.load(key, path.stem) or _export(
        cache, key, path.stem, lambda target: _torch_door().export_program(path, target=target)
    )


def _from_factory(request: SourceRequest, cache: ModelCache) -> SourceModel:
    """Exports anew each time: nobody can tell whether the code behind a factory is still the same."""
    factory = _find_factory(request.source)
    return _export(
        cache,
        None,
        request.source.rpartition(":")[2],
        lambda target: _torch_door().export_factory(
            factory,
            request.source,
            (request.batch, 3, 224, 224),
            seed=request.seed,
            weights=request.weights,
            target=target,
        ),
    )


def _find_factory(source: str) -> Callable[[], object]:
    module_name, _, attribute = source.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as exc:
        raise ModelError(f"Factory {source!r}: cannot import {module_name}: {failure_words(exc)}") from exc
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ModelError(f"Factory {source!r}: {module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise ModelError(f"Factory {source!r} is a {type(found).__name__}: name a function that returns a torch module")
    return found


def _export(cache: ModelCache, key: str | None, name: str, write: Callable[[Path], None]) -> SourceModel:
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        target = Path(folder) / "model.onnx"
        write(target)
        return cache.store(key, read_model(target, name=name))


def _torch_door() -> ModuleType:
    try:
        return importlib.import_module("partitioner.onnx_io.torch_door")
    except ModuleNotFoundError as exc:
        raise ModelError(
            f"Models from torch need {exc.name}, which is not installed: pip install 'splitfront[torch]', "
            "or export the model to .onnx elsewhere"
        ) from exc


def _key(**parts: object) -> str:
    """Everything that an export depends on, as text."""
    return json.dumps({**parts, "format": _CACHE_FORMAT, **{name: _version(name) for name in _EXPORT_PACKAGES}})


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as exc:
        raise ModelFileError(f"No such file: {path}") from exc
    except OSError as exc:
        raise ModelFileError(f"Cannot read {path}: {exc.strerror}") from exc
