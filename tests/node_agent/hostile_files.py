"""Models whose weights lie elsewhere, and what is no model."""

import gzip
import random

from hostile_kit import FLOAT, hostile, model, node, value
from node_shards import blob_of
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

PLACES = (
    "../secret",
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "/dev/stdin",
    "/proc/self/mem",
    "./" + "ab" * 32,
    "ab" * 32 + "/../x",
    "ab" * 32 + "\n",
    "ab" * 32 + "\0",
    "AB" * 32,
    "*/_ORT_MEM_ADDR_/*",
    "file:///etc/passwd",
    "\\\\server\\share",
    "~/secret",
    "",
)
"""Where external data must not lie."""


def external(location: str, **more: str) -> ModelProto:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=(2,), data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, "offset": "0", "length": "8", **more}.items():
        tensor.external_data.add(key=key, value=text)
    return model([node("Identity", "w", "m")], [tensor])


for _number, _place in enumerate(PLACES):

    def _outside(place=_place):
        return external(place)

    _outside.__name__ = f"outside_{_number}"
    hostile("want the digest of a blob, never a path", is_quick=_number == 0)(_outside)


@hostile("which the shard does not name")
def blob_of_somebody_else():
    return external("ab" * 32)


@hostile("which has 8")
def behind_the_end_of_a_blob():
    content = bytes(8)
    return external(blob_of(content).sha256, offset="4"), (content,)


@hostile("want a whole number")
def negative_length():
    content = bytes(8)
    return external(blob_of(content).sha256, length="-8"), (content,)


@hostile("want a whole number")
def offset_in_words():
    content = bytes(8)
    return external(blob_of(content).sha256, offset="0x0"), (content,)


@hostile("cannot load|want")
def place_in_a_constant():
    tensor = external("../secret").graph.initializer[0]
    return model([helper.make_node("Constant", [], ["m"], value=tensor)])


@hostile("an empty file", is_quick=True)
def empty():
    return b""


@hostile("no ONNX|cut off|no graph", is_quick=True)
def random_bytes():
    return random.Random(7).randbytes(5000)


@hostile("no ONNX|cut off|no graph")
def text():
    return b"#!/bin/sh\nrm -rf /\n" * 100


@hostile("no ONNX|cut off|no graph")
def packed():
    return gzip.compress(bytes(10 << 20))


@hostile("no ONNX|cut off|no graph")
def other_format_of_the_runtime():
    return b"\x20\x00\x00\x00ORTM" + bytes(100)


@hostile("no graph")
def a_graph_that_is_a_number():
    return b"\x08\x08\x38\x05"


@hostile("a number is too long")
def endless_number():
    return b"\xff" * 64


@hostile("at most 64 MiB are taken")
def a_file_of_zeroes():
    return bytes((64 << 20) + 1)


@hostile("cannot load|no ONNX|cut off")
def names_that_are_no_text():
    return model([node("Relu", "x", "m")]).SerializeToString().replace(b"Relu", b"\xff\xfe\xfd\n")


@hostile("cannot load")
def values_of_another_length():
    tensor = TensorProto(name="w", data_type=FLOAT, dims=(4,), raw_data=bytes(3))
    return model([node("Identity", "w", "m")], [tensor])


@hostile("cannot load|type")
def elements_of_an_unknown_type():
    tensor = TensorProto(name="w", data_type=999, dims=(4,), raw_data=bytes(16))
    return model([node("Identity", "w", "m")], [tensor])


@hostile("only tensors of numbers")
def text_tensors():
    return model(
        [node("Identity", "z", "m")],
        inputs=[value("z", (2,), TensorProto.STRING)],
        outputs=[value("m", (2,), TensorProto.STRING)],
    )


@hostile("cannot load")
def attribute_of_another_type():
    made = node("Concat", "x x", "m")
    made.attribute.append(AttributeProto(name="axis", type=AttributeProto.STRING, s=b"0"))
    return model([made])


@hostile("cannot load|no graph")
def graph_without_anything():
    return ModelProto(ir_version=8, graph=GraphProto(name="g"), opset_import=[helper.make_opsetid("", 17)])


@hostile("no libraries of operators")
def name_with_line_breaks():
    return model([helper.make_node("Evil\n\nnode_agent: all is well", ["x"], ["m"], domain="a\nb")], domains=["a\nb"])
