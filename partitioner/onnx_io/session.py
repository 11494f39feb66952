"""The one place where this package makes onnxruntime sessions: one thread, no spinning, the processor."""

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.runtime_errors import explain_refusal
from partitioner.shard import Shard

Weights = Mapping[str, np.ndarray]
"""Values of the initializers that a graph refers to without holding them, by name."""

RUNTIME_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
)
"""What onnxruntime raises; its classes have no base of their own. The last is of values that NumPy has no type for."""

_LAYOUT_STEP = "TransposeOptimizer"


class Effort(Enum):
    """How much onnxruntime rewrites a graph before it runs it."""

    NONE = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    FUSED = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    DEPLOYED = ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def open_session(
    model: bytes | Path, *, effort: Effort = Effort.DEPLOYED, weights: Weights | None = None, what: str = "model"
) -> ort.InferenceSession:
    """A session on a serialized graph or on a file, external data beside it.

    Args:
        model: ModelProto as bytes, or the path of one.
        effort: Optimisation level.
        weights: Arrays for the external initializers of a graph given as bytes; no file is read then; they must
            live as long as the session.
        what: Name of the model for the error message.

    Raises:
        UnsupportedModelError: onnxruntime cannot run the graph; names the operator where it is one that it lacks.
    """
    return _create(model, _options(effort), weights or {}, what, ())


def open_frugal(model: bytes, *, weights: Weights, folder: Path | None, what: str) -> ort.InferenceSession:
    """A session for a run or two: nothing is rewritten, and weights in files are mapped, neither copied nor rearranged.

    Args:
        model: ModelProto as bytes.
        weights: Arrays for external initializers that lie in no file; they must live as long as the session.
        folder: Where the files of the others lie.
        what: Name of the model for the error message.

    Raises:
        UnsupportedModelError: As `open_session`.
    """
    options = _options(Effort.NONE)
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return _create(model, options, weights, what, ())


def run_session(
    session: ort.InferenceSession, names: Sequence[str], inputs: Mapping[str, np.ndarray], *, what: str
) -> dict[str, np.ndarray]:
    """Values of the outputs `names`.

    Raises:
        UnsupportedModelError: onnxruntime fails on these inputs; `what` names the model.
    """
    try:
        values = session.run(list(names), dict(inputs))
    except RUNTIME_ERRORS as exc:
        reason = " ".join(str(exc).split())[:400]
        raise UnsupportedModelError(f"{what}: onnxruntime {ort.__version__} fails on these inputs: {reason}") from exc
    return dict(zip(names, values, strict=True))


def run_shard(
    session: ort.InferenceSession, shard: Shard, received: Mapping[str, np.ndarray], *, what: str
) -> dict[str, np.ndarray]:
    """What a shard sends, its session's outputs and what it relays, from what it received.

    Raises:
        UnsupportedModelError: As `run_session`.
    """
    names = [output.name for output in session.get_outputs()]
    feed = {value.name: received[value.name] for value in session.get_inputs()}
    made = run_session(session, names, feed, what=what)
    return {spec.name: made[spec.name] if spec.name in made else received[spec.name] for spec in shard.sends}


def write_optimised(model: Path, folder: Path, *, weights: Weights, what: str) -> Path:
    """Writes the graph as onnxruntime fuses it, without its weights, and returns the path.

    Layout changes that only move transpositions about are left out, since they rename tensors without fusing anything.

    Raises:
        UnsupportedModelError: As `open_session`.
    """
    target = folder / "optimised.onnx"
    # The fused weights are of no interest and may be gigabytes: they go where writing costs nothing.
    (folder / "weights").symlink_to("/dev/null")
    options = _options(Effort.FUSED)
    options.optimized_model_filepath = str(target)
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
    options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "64")
    _create(model, options, weights, what, (_LAYOUT_STEP,))
    return target


def _options(effort: Effort) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = effort.value
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong comes as an exception
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights of few bits are multiplied in float32, whether or not a cut lets the runtime fuse them; so do nodes.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    return options


def _create(
    model: bytes | Path, options: ort.SessionOptions, weights: Weights, what: str, without: tuple[str, ...]
) -> ort.InferenceSession:
    if weights:
        values = [_value_of(array) for array in weights.values()]
        options.add_external_initializers(list(weights), values)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
        )
    except RUNTIME_ERRORS as exc:
        raise UnsupportedModelError(explain_refusal(str(exc), model, what)) from exc


def _value_of(array: np.ndarray) -> ort.OrtValue:
    """The array as onnxruntime takes it, not copied; types that NumPy does not have itself go as their bits."""
    element_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    bits = array if array.dtype.isbuiltin else array.view(f"u{array.dtype.itemsize}")
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, element_type)
