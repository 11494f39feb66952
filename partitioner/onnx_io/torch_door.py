"""The only module that imports torch: builds modules and exports them to ONNX. Imported when it is needed."""

import contextlib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from partitioner.errors import ModelError, ModelFileError, UnsupportedModelError
from partitioner.onnx_io.foreign_code import failure_words

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # those of torch about itself
    import torch

_CALIBRATION_PASSES = 10
_CALIBRATION_BATCH = 2
_NOISY_LOGGERS = ("torch.onnx", "torch.export", "torch._subclasses", "torch.fx", "onnxscript", "onnx_ir")


def export_zoo_model(name: str, shape: Sequence[int], *, seed: int, weights: Path | None, target: Path) -> None:
    """Exports a model of torchvision, with the weights of a file or with seeded random ones.

    Raises:
        ModelError: The weights do not fit.
        UnsupportedModelError: torch cannot export the model.
    """
    module = build_zoo_model(name, shape, seed=seed, weights=weights)
    with _quiet(), _seeded(seed):
        _export(module, (torch.randn(*shape),), target, name)


def build_zoo_model(name: str, shape: Sequence[int], *, seed: int, weights: Path | None = None) -> torch.nn.Module:
    """A model of torchvision, with the weights of a file or with seeded random ones; equal seeds give equal models.

    Random weights give outputs worth comparing: batch norm takes its statistics from noise.

    Raises:
        ModelError: The weights do not fit.
    """
    with _quiet(), _seeded(seed):
        options = {"aux_logits": False, "transform_input": False, "init_weights": True} if "inception" in name else {}
        module: torch.nn.Module = getattr(import_torchvision().models, name)(weights=None, **options)
        if weights is None:
            _calibrate(module, shape)
        else:
            _load_weights(module, weights, name)
        return module.eval()


def export_factory(
    factory: Callable[[], object],
    source: str,
    shape: Sequence[int],
    *,
    seed: int,
    weights: Path | None,
    target: Path,
) -> None:
    """Exports what a factory returns: a module, or a pair of module and example inputs.

    Raises:
        ModelError: The factory fails or returns something else, or the weights do not fit.
        UnsupportedModelError: torch cannot export the module.
    """
    with _quiet(), _seeded(seed):
        try:
            made = factory()
        except Exception as exc:
            raise ModelError(f"Factory {source!r} failed: {failure_words(exc)}") from exc
        module, inputs = _module_and_inputs(made, source, shape)
        tried = f" (on an input of {tuple(shape)}: let the factory return its own beside the module)"
        if weights is not None:
            _load_weights(module, weights, source)
        _export(module, inputs, target, source, tried if made is module else "")


def export_program(path: Path, *, target: Path) -> None:
    """Exports a program that `torch.export.save` wrote.

    Raises:
        ModelFileError: The file is no such program.
        UnsupportedModelError: torch cannot export it.
    """
    with _quiet():
        try:
            program = torch.export.load(path)
        except Exception as exc:
            raise ModelFileError(f"{path} is not a torch.export program: {_first_line(exc)}") from exc
        _export(program, (), target, path.name)


def _module_and_inputs(
    made: object, source: str, shape: Sequence[int]
) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    if isinstance(made, torch.nn.Module):
        return made, (torch.randn(*shape),)
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], torch.nn.Module):
        module, inputs = made
        return module, (inputs,) if isinstance(inputs, torch.Tensor) else tuple(inputs)
    raise ModelError(
        f"Factory {source!r} must return a torch.nn.Module or (module, example inputs), not {type(made).__name__}"
    )


def _calibrate(module: torch.nn.Module, shape: Sequence[int]) -> None:
    """Makes random weights give outputs that differ and that follow the input.

    Batch norm takes its statistics from noise. Where there is none, each layer's weights are scaled so that its outputs
    have unit variance: default weights let the signal fade until only the biases are left.
    Source: Mishkin and Matas, "All you need is a good init", ICLR 2016 (the scaling).
    """
    module.eval()
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        if not norms:
            _scale_layers(module, torch.randn(_CALIBRATION_BATCH, *shape[1:]))
        for norm in norms:
            norm.train()
            norm.momentum = None  # a plain mean over the passes
        for _ in range(_CALIBRATION_PASSES if norms else 0):
            module(torch.randn(_CALIBRATION_BATCH, *shape[1:]))


def _scale_layers(module: torch.nn.Module, noise: torch.Tensor) -> None:
    def scale(layer: torch.nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        spread = output.std()
        for parameter in layer.parameters(recurse=False):
            parameter.div_(spread)
        return output / spread

    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    module(noise)
    for hook in hooks:
        hook.remove()


def _load_weights(module: torch.nn.Module, path: Path, what: str) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise ModelFileError(f"No such weights file: {path}") from exc
    except OSError as exc:
        raise ModelFileError(f"Cannot read the weights {path}: {exc.strerror or exc}") from exc
    except Exception as exc:
        raise ModelFileError(
            f"{path} is not a file of plain weights: write one with torch.save(network.state_dict(), FILE)"
        ) from exc
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as exc:
        raise ModelError(f"The weights in {path} do not fit {what}: {' '.join(str(exc).split())[:300]}") from exc


def _export(program: object, inputs: tuple[torch.Tensor, ...], target: Path, what: str, tried: str = "") -> None:
    if isinstance(program, torch.nn.Module):
        program.eval()
    try:
        exported = torch.onnx.export(program, inputs, dynamo=True, external_data=True, verbose=False)  # type: ignore[arg-type]
    except Exception as exc:
        raise UnsupportedModelError(f"torch cannot export {what} to ONNX: {_first_line(_cause(exc))}{tried}") from exc
    if exported is None:
        raise UnsupportedModelError(f"torch cannot export {what} to ONNX: it returned no program")
    exported.save(target, external_data=True)


def _cause(exc: BaseException) -> BaseException:
    """What the exporter's own words about its steps were raised from."""
    return exc if exc.__cause__ is None else _cause(exc.__cause__)


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers from `seed`, one thread so that sums are the same everywhere; what was set comes back."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(n_threads)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's remarks about itself from the terminal; errors still come as exceptions."""
    loggers = [logging.getLogger(name) for name in _NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_operators: list[object] = []
"""Definitions that live as long as the process."""


def import_torchvision() -> ModuleType:
    """torchvision, also where its compiled part is built for another torch and cannot be loaded."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as exc:
        if "torchvision::nms" not in str(exc):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    # The detection models need these two operators at import; classification never calls them.
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _operators.append(library)
    return importlib.import_module("torchvision")
