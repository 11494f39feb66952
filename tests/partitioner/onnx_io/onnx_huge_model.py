"""A network of more than 2 GB, and what it costs to load and cut; a program, so that nothing else is counted."""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

N_LAYERS = 34
WIDTH = 4096
N_ROWS = 16
"""Of each weight only the first rows hold numbers; the rest of the file is a hole that costs no disk."""
WEIGHT_BYTES = WIDTH * WIDTH * 4


def rows_of(layer: int) -> np.ndarray:
    return (np.random.default_rng(layer).standard_normal((N_ROWS, WIDTH)) / np.sqrt(N_ROWS)).astype(np.float32)


def write_huge(folder: Path, *, needs_trial: bool) -> Path:
    """x → (MatMul → Add → Tanh) × N_LAYERS → y with weights beside the graph, never more than a few rows in memory.

    With `needs_trial` no inference finds the shapes behind the first layer: its results are counted and reshaped to
    their number, which is the same for all inputs.
    """
    with (folder / "weights.bin").open("wb") as file:
        for layer in range(N_LAYERS):
            file.seek(layer * WEIGHT_BYTES)
            file.write(rows_of(layer).tobytes())
        file.truncate(N_LAYERS * WEIGHT_BYTES)
    nodes, weights, current = [], [], "x"
    if needs_trial:
        steps = (("Abs", "t0", "size"), ("GreaterOrEqual", "size zero", "is_any"), ("Cast", "is_any", "one"))
        counting = [
            helper.make_node(op, reads.split(), [made], **({"to": 7} if op == "Cast" else {}))
            for op, reads, made in steps
        ]
        counting.append(helper.make_node("ReduceSum", ["one", "rows"], ["n_of_row"], keepdims=0))
        counting.append(helper.make_node("ReduceMax", ["n_of_row"], ["n"], keepdims=1))
        counting.append(helper.make_node("Concat", ["any", "n"], ["target"], axis=0))
        counting.append(helper.make_node("Reshape", ["t0", "target"], ["reshaped"]))
        weights += [helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])]
        weights += [
            helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("rows", 1), ("any", -1))
        ]
    for layer in range(N_LAYERS):
        tensor = TensorProto(
            name=f"w{layer}",
            data_type=TensorProto.FLOAT,
            dims=[WIDTH, WIDTH],
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": "weights.bin", "offset": layer * WEIGHT_BYTES, "length": WEIGHT_BYTES}
        for key, entry in place.items():
            tensor.external_data.add(key=key, value=str(entry))
        weights.append(tensor)
        weights.append(helper.make_tensor(f"b{layer}", TensorProto.FLOAT, [1], [0.01 * layer]))
        following = "y" if layer == N_LAYERS - 1 else f"t{layer}"
        nodes.append(helper.make_node("MatMul", [current, f"w{layer}"], [f"m{layer}"], name=f"matmul{layer}"))
        nodes.append(helper.make_node("Add", [f"m{layer}", f"b{layer}"], [f"a{layer}"], name=f"add{layer}"))
        nodes.append(helper.make_node("Tanh", [f"a{layer}"], [following], name=f"tanh{layer}"))
        current = following
        if needs_trial and layer == 0:
            nodes += counting
            current = "reshaped"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", WIDTH])
    graph = helper.make_graph(nodes, "huge", [value], [output], weights)
    path = folder / "huge.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )
    return path


def peak_bytes() -> int:
    """Most bytes resident at once since the program began."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, not raised by what the parent had when it forked
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(path: Path, folder: Path) -> None:
    """Loads, cuts everywhere and eight ways, and lays one small segment out; prints what that took."""
    from partitioner.onnx_io import cut_plan, load_model

    model = load_model(str(path), batch=2, cache_dir=folder / "cache")
    n_units = model.graph.n_units
    shards = [shard for position in range(1, n_units) for shard in cut_plan(model, [position])]
    ways = [shard for n in (4, 8) for shard in cut_plan(model, [round(n_units * part / n) for part in range(1, n)])]
    for shard in (*shards, *ways):
        proto = onnx.ModelProto.FromString(shard.graph)
        proto.graph.input.extend(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in proto.graph.initializer
            if tensor.data_location == TensorProto.EXTERNAL
        )
        kept = [tensor for tensor in proto.graph.initializer if tensor.data_location != TensorProto.EXTERNAL]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(kept)
        onnx.checker.check_model(proto)
    layer = next(index for index, item in enumerate(model.graph.layers) if item.name == "matmul17")
    start = next(unit.index for unit in model.graph.units if unit.start <= layer < unit.stop)
    small = model.cut(start, start + 3)
    placed = model.place_shard(small, folder)
    report = {
        "peak_bytes": peak_bytes(),
        "n_units": n_units,
        "last_shape": model.graph.spec_of["y"].shape,
        "n_blobs": len({blob.sha256 for shard in shards for blob in shard.blobs}),
        "blob_bytes": sum(blob.n_bytes for blob in model.whole_shard().blobs),
        "graph_bytes": max(len(shard.graph) for shard in shards),
        "placed": str(placed),
        "receives": [spec.name for spec in small.receives],
        "sends": [spec.name for spec in small.sends],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
