"""Tiny shards for tests, with their weights outside, named by their digests."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from node_agent.api import Node
from node_agent.messages import BlobRef, ShardRef, StageLoad, TensorSpec


@dataclass(frozen=True)
class BuiltShard:
    ref: ShardRef
    contents: dict[str, bytes] = field(repr=False)
    receives: tuple[TensorSpec, ...]
    sends: tuple[TensorSpec, ...]

    def put_into(self, node: Node) -> None:
        for blob in node.missing_blobs((self.ref.graph, *self.ref.blobs)):
            node.put_blob(blob, (self.contents[blob.sha256],))

    def write_into(self, folder: Path) -> Path:
        for sha256, content in self.contents.items():
            (folder / sha256).write_bytes(content)
        return folder / self.ref.graph.sha256

    def load(self, **changes: object) -> StageLoad:
        defaults = {"deployment": "d", "epoch": 1, "stage": 0, "n_stages": 1}
        return StageLoad(**{"shard": self.ref, "receives": self.receives, "sends": self.sends} | defaults | changes)


def spec(name: str, shape: tuple[int, ...], dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def blob_of(content: bytes) -> BlobRef:
    return BlobRef(sha256=hashlib.sha256(content).hexdigest(), n_bytes=len(content))


def build_shard(
    nodes: list[onnx.NodeProto],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    weights: dict[str, np.ndarray] | None = None,
) -> BuiltShard:
    contents: dict[str, bytes] = {}
    initializers = []
    blobs = {}
    for name, values in (weights or {}).items():
        raw = np.ascontiguousarray(values).tobytes()
        blob = blob_of(raw)
        contents[blob.sha256] = raw
        blobs[blob.sha256] = blob
        initializers.append(_external(name, values, blob))
    graph = helper.make_graph(nodes, "g", [_value(s) for s in inputs], [_value(s) for s in outputs], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serialized = model.SerializeToString()
    ref = blob_of(serialized)
    contents[ref.sha256] = serialized
    return BuiltShard(ShardRef(graph=ref, blobs=tuple(blobs.values())), contents, inputs, outputs)


def _value(tensor: TensorSpec) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return helper.make_tensor_value_info(tensor.name, kind, tensor.shape)


def _external(name: str, values: np.ndarray, blob: BlobRef) -> onnx.TensorProto:
    tensor = TensorProto(
        name=name,
        dims=values.shape,
        data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (("location", blob.sha256), ("offset", "0"), ("length", str(blob.n_bytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def weights_of(seed: int, n_rows: int, n_columns: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.standard_normal((n_rows, n_columns), dtype=np.float32) / np.float32(np.sqrt(n_rows))


def matmul_shard(seed: int = 0, n_in: int = 32, n_out: int = 16, source: str = "x", target: str = "y") -> BuiltShard:
    """target = relu(source @ w)."""
    nodes = [helper.make_node("MatMul", [source, "w"], ["m"]), helper.make_node("Relu", ["m"], [target])]
    return build_shard(
        nodes, (spec(source, (2, n_in)),), (spec(target, (2, n_out)),), {"w": weights_of(seed, n_in, n_out)}
    )


def failing_shard() -> BuiltShard:
    """Gathers row `i` of an eye matrix; fails at run time where there is none."""
    nodes = [helper.make_node("Gather", ["w", "i"], ["y"])]
    return build_shard(nodes, (spec("i", (1,), "int64"),), (spec("y", (1, 8)),), {"w": np.eye(8, dtype=np.float32)})
