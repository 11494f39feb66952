"""What hostile models are made with, and where they are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

GIANT = 1 << 40
TIME = "took more than .* of processor time.*--trial-seconds|did not open and run once within .*--trial-seconds"
MEMORY = f"needs more memory than .*limit .--max-memory, 512 MiB|{TIME}"
"""On a machine that is busy otherwise, time may be over before memory is."""
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


@dataclass(frozen=True)
class Hostile:
    """A model with the blobs that its shard names."""

    name: str
    content: bytes = field(repr=False)
    words: str
    """Regular expression for the refusal; "" for one that may also be taken, since it harms nobody."""
    blobs: tuple[bytes, ...] = field(default=(), repr=False)
    is_quick: bool = False
    """Among those that every change is tested with."""


MADE: list[tuple[str, Callable[[], object], str, bool]] = []


def hostile(words: str, *, is_quick: bool = False) -> Callable:
    def keep(make: Callable) -> Callable:
        MADE.append((make.__name__, make, words, is_quick))
        return make

    return keep


def value(name: str, shape: tuple | None, kind: int = FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def ints(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def scalar(name: str, number: object, kind: type) -> TensorProto:
    return numpy_helper.from_array(np.array(number, kind), name)


def model(nodes, initializers=(), *, inputs=None, outputs=None, domains=(), **more) -> ModelProto:
    """A model that adds `m`, which the nodes make, to its input."""
    if outputs is None:
        nodes = [*nodes, helper.make_node("ReduceMax", ["m"], ["most"], keepdims=0), node("Add", "x most", "y")]
    graph = helper.make_graph(
        nodes, "g", inputs or [value("x", (2,))], outputs or [value("y", (2,))], list(initializers)
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)


def node(operator: str, inputs: str, outputs: str, **attributes) -> NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)
