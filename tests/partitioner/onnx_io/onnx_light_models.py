"""The light topologies of the onnx package, their constant weights drawn anew so that outputs are worth comparing."""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

LIGHT_NAMES = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)


def light_model(name: str, target: Path) -> str:
    """Writes a re-seeded topology, whose output is what stood before the Softmax: that one would hide differences."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.load(folder / f"light_{name}.onnx")
    graph = model.graph
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    roles = {role: _role_inputs(graph.node, role) for role in ("scale", "variance")}
    generator = np.random.default_rng(len(name))
    kept = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            values = _draw(generator, tuple(shapes[node.input[0]]), node.output[0], roles)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        elif node.op_type != "Softmax":
            kept.append(node)
    for tensor in graph.initializer:
        array = shapes.get(tensor.name)
        if array is not None and array.dtype == np.float32 and array.ndim:
            tensor.CopyFrom(numpy_helper.from_array(_draw(generator, array.shape, tensor.name, roles), tensor.name))
    softmax = [node for node in graph.node if node.op_type == "Softmax"]
    for node in softmax:
        graph.output[0].name = node.input[0]
        graph.output[0].type.tensor_type.ClearField("shape")
    del graph.node[:]
    graph.node.extend(kept)
    onnx.save(model, target)
    return str(target)


def _role_inputs(nodes: list[NodeProto], role: str) -> set[str]:
    """Weights that scale, in a normalisation or, made wider by Unsqueeze, after it; and variances."""
    index = {"scale": 1, "variance": 4}[role]
    names = {node.input[index] for node in nodes if node.op_type == "BatchNormalization"}
    if role == "scale":
        factors = {name for node in nodes if node.op_type == "Mul" for name in node.input}
        names |= {node.input[0] for node in nodes if node.op_type == "Unsqueeze" and node.output[0] in factors}
    return names


def _draw(generator: np.random.Generator, shape: tuple[int, ...], name: str, roles: dict[str, set[str]]) -> np.ndarray:
    if name in roles["scale"] or name in roles["variance"]:
        values = generator.uniform(0.5, 1.5, shape)
    elif len(shape) >= 2:
        values = generator.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    else:
        values = generator.standard_normal(shape) * 0.1
    return values.astype(np.float32)
