"""Proof that the shards of a plan compute what the whole model computes."""

import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from partitioner.equality import relative_error
from partitioner.errors import PlanError, ShardMismatchError, UnsupportedModelError
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.session import open_session, run_shard
from partitioner.onnx_io.weights import is_external
from partitioner.shard import Shard


def cut_plan(model: Model, positions: Sequence[int]) -> tuple[Shard, ...]:
    """Shards of the stages between split positions, in the order in which data flows.

    Args:
        model: To be cut.
        positions: Strictly increasing, each in 1 … n_units - 1; empty for the whole model as one shard.

    Raises:
        PlanError: The positions are not like that.
    """
    ends = [0, *positions, model.graph.n_units]
    if any(start >= stop for start, stop in pairwise(ends)):
        raise PlanError(
            f"Split positions of {model.graph.name!r} must increase within 1…{model.graph.n_units - 1}, "
            f"not {list(positions)}"
        )
    return tuple(model.cut(start, stop) for start, stop in pairwise(ends))


def verify_shards(
    model: Model, shards: Sequence[Shard], inputs: Mapping[str, np.ndarray], tolerance: float = 1e-5
) -> float:
    """Runs shards one after another, from files as on a node, and compares the outputs with the whole model's.

    Returns the largest relative error over all outputs (see `equality.relative_error`).

    Raises:
        ShardMismatchError: An output differs by more than `tolerance`, or the shards do not fit together.
        UnsupportedModelError: A shard is not valid ONNX or onnxruntime refuses it.
        ModelError: `inputs` are not those of the model.
    """
    expected = model.run_whole(inputs)
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        obtained = _run_chain(model, shards, inputs, Path(folder))
    errors = {name: relative_error(obtained.get(name), values) for name, values in expected.items()}
    worst = max(errors, key=lambda name: errors[name])
    if errors[worst] > tolerance:
        cuts = [shard.start for shard in shards[1:]]
        raise ShardMismatchError(
            f"Output {worst!r} of {model.graph.name!r} cut at {cuts} differs from the whole model's by "
            f"{errors[worst]:.3g} of its size (tolerance {tolerance:.3g})"
        )
    return errors[worst]


def _run_chain(
    model: Model, shards: Sequence[Shard], inputs: Mapping[str, np.ndarray], folder: Path
) -> dict[str, np.ndarray]:
    """What the client gets from the last shard."""
    alive = dict(inputs)
    for shard in shards:
        missing = [spec.name for spec in shard.receives if spec.name not in alive]
        if missing:
            raise ShardMismatchError(f"Shard [{shard.start}:{shard.stop}) wants {missing}, which no shard before sends")
        received = {spec.name: alive[spec.name] for spec in shard.receives}
        alive = _run_alone(model, shard, received, folder)
        _check_specs(shard, alive)
    return alive


def _run_alone(model: Model, shard: Shard, received: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    what = f"Shard [{shard.start}:{shard.stop}) of {model.graph.name!r}"
    _check_valid(shard, what)
    session = open_session(model.place_shard(shard, folder), what=what)
    return run_shard(session, shard, received, what=what)


def _check_valid(shard: Shard, what: str) -> None:
    """Lets onnx check the graph. Weights stand in as inputs: the checker refuses the hard links of a store."""
    proto = onnx.ModelProto.FromString(shard.graph)
    tensors = list(proto.graph.initializer)
    del proto.graph.initializer[:]
    for tensor in tensors:
        if is_external(tensor):
            proto.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            proto.graph.initializer.append(tensor)
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as exc:
        raise UnsupportedModelError(f"{what} is not valid ONNX: {str(exc).splitlines()[0]}") from exc


def _check_specs(shard: Shard, sent: Mapping[str, np.ndarray]) -> None:
    for spec in shard.sends:
        values = sent[spec.name]
        if values.shape != spec.shape or values.dtype.name != spec.dtype:
            raise ShardMismatchError(
                f"Shard [{shard.start}:{shard.stop}) makes {spec.name!r} as {values.dtype.name} {values.shape}, "
                f"not {spec.dtype} {spec.shape}"
            )
