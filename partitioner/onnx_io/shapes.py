"""Element type and shape of every tensor: by inference, and by a run where inference does not reach."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, TypeProto

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.fixing import is_fixable
from partitioner.onnx_io.inference import PORTABLE, dtype_of, shape_of, values_of
from partitioner.onnx_io.sample import trial_samples
from partitioner.onnx_io.trial_run import trial_values
from partitioner.onnx_io.varying import find_varying
from partitioner.onnx_io.weights import WeightStore
from partitioner.tensors import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpecs:
    """What is known of the tensors of a graph with concrete inputs."""

    spec_of: Mapping[str, TensorSpec]
    """Tensors of fixed shape and portable type: those that may cross a split point."""
    varying: frozenset[str]
    """Tensors whose shape depends on the values of the inputs."""
    foreign: frozenset[str]
    """Sequences, optional values, strings, and numbers that NumPy does not have."""


def find_specs(
    proto: onnx.ModelProto, names: Iterable[str], store: WeightStore, given: Mapping[str, np.ndarray], *, what: str
) -> TensorSpecs:
    """Specifications of the tensors `names`.

    What inference leaves open is read off two runs on different inputs: a shape that is the same in both is taken as
    fixed, unless it follows from values (`find_varying`). A number that was given counts as fixed.

    Args:
        proto: With concrete inputs and `value_info` as inferred.
        names: Inputs, and tensors made by nodes.
        store: Holds the weights.
        given: Arrays of all inputs, by name; empty for random ones.
        what: Name of the model for error messages.

    Raises:
        UnsupportedModelError: onnxruntime cannot run the model.
    """
    spec_of: dict[str, TensorSpec] = {}
    unknown: list[str] = []
    foreign: set[str] = set()
    types = {value.name: value.type for value in values_of(proto.graph)}
    for name in names:
        kind = types.get(name, TypeProto())
        shape, dtype = shape_of(kind), dtype_of(kind)
        if _is_foreign(kind):
            foreign.add(name)
        elif shape is None or dtype is None:
            unknown.append(name)
        else:
            spec_of[name] = TensorSpec(name=name, dtype=dtype.name, shape=shape)
    held = [value.name for value in proto.graph.input if value.name in given and is_fixable(value)]
    follows_values = find_varying(proto.graph, held)
    observed = _observe(proto, unknown, store, given, what) if unknown else {}
    for name, shapes_and_types in observed.items():
        first, second = shapes_and_types
        if first is None or second is None:
            foreign.add(name)
        elif first == second and name not in follows_values:
            spec_of[name] = first
    varying = observed.keys() - spec_of.keys() - foreign
    return TensorSpecs(spec_of=spec_of, varying=frozenset(varying), foreign=frozenset(foreign))


def _observe(
    proto: onnx.ModelProto, names: list[str], store: WeightStore, given: Mapping[str, np.ndarray], what: str
) -> dict[str, tuple[TensorSpec | None, TensorSpec | None]]:
    """What each tensor turned out to be in two runs on different inputs; None where it cannot travel."""
    samples = trial_samples(proto.graph, given)
    try:
        return {
            name: (_spec_of_value(name, first), _spec_of_value(name, second))
            for name, (first, second) in trial_values(proto, names, store, samples, what=what)
        }
    except UnsupportedModelError as exc:
        switches = [value.name for value in proto.graph.input if is_fixable(value)]
        if not switches:
            raise
        advice = f"if {switches[0]!r} chooses what runs, give its value, as in --dim {switches[0]}=1"
        raise UnsupportedModelError(f"{exc}; {advice}") from exc


def _spec_of_value(name: str, value: object) -> TensorSpec | None:
    if not isinstance(value, np.ndarray) or value.dtype.name not in PORTABLE:
        return None
    return TensorSpec(name=name, dtype=value.dtype.name, shape=value.shape)


def _is_foreign(kind: TypeProto) -> bool:
    """Whether a type, where it is known, cannot travel."""
    if kind.WhichOneof("value") is None:
        return False
    if not kind.HasField("tensor_type") or kind.tensor_type.elem_type == TensorProto.STRING:
        return True
    dtype = dtype_of(kind)
    return dtype is not None and dtype.name not in PORTABLE
