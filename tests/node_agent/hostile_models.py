"""Models that want to hurt who opens them. Each is a graph's bytes, and what the refusal says of it."""

import gzip
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from node_shards import blob_of, matmul_shard
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from node_agent.dataplane.envelope import varint

GIANT = 1 << 40
TIME = "took more than .* of processor time.*--trial-seconds|did not open and run once within .*--trial-seconds"
MEMORY = f"needs more memory than .*limit|the limit of memory leaves|{TIME}"
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


_MADE: list[tuple[str, Callable[[], object], str, bool]] = []


def hostile(words: str, *, is_quick: bool = False) -> Callable:
    def keep(make: Callable) -> Callable:
        _MADE.append((make.__name__, make, words, is_quick))
        return make

    return keep


def hostile_models() -> list[Hostile]:
    """All of them, built anew."""
    models = []
    for name, make, words, is_quick in _MADE:
        made = make()
        content, blobs = made if isinstance(made, tuple) else (made, ())
        content = content if isinstance(content, bytes) else content.SerializeToString()
        models.append(Hostile(name, content, words, blobs, is_quick))
    return models


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


# --- memory that explodes while a session is created


@hostile(MEMORY, is_quick=True)
def constant_of_shape():
    return model([node("ConstantOfShape", "s", "m")], [ints("s", 1 << 16, 1 << 16)])


@hostile(MEMORY, is_quick=True)
def expand():
    return model([node("Expand", "one s", "m")], [ints("s", 1 << 15, 1 << 15), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def expand_a_giant():
    return model([node("Expand", "one s", "m")], [ints("s", GIANT), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def tile():
    return model([node("Tile", "one s", "m")], [ints("s", 1 << 29), scalar("one", [1], np.float32)])


@hostile("")
def tile_a_giant():
    """onnxruntime itself refuses to run it, each time."""
    return model([node("Tile", "one s", "m")], [ints("s", 1 << 31), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def doubled_again_and_again():
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(34)]
    return model([*nodes, node("Identity", "c34", "m")], [scalar("c0", [1.0], np.float32)])


@hostile(MEMORY)
def ranged():
    parts = [scalar(name, number, np.int64) for name, number in (("from", 0), ("to", 1 << 33), ("by", 1))]
    return model([node("Range", "from to by", "r"), node("Cast", "r", "m", to=FLOAT)], parts)


@hostile(MEMORY)
def one_hot():
    parts = [ints("i", *range(1000)), scalar("d", 1 << 24, np.int64), scalar("v", [0, 1], np.float32)]
    return model([node("OneHot", "i d v", "m")], parts)


@hostile(MEMORY)
def eye_like():
    return model(
        [node("ConstantOfShape", "s", "c"), node("EyeLike", "c", "m", dtype=FLOAT)], [ints("s", 1 << 16, 1 << 16)]
    )


@hostile(MEMORY)
def padded():
    return model([node("Pad", "one p", "m")], [ints("p", 0, 1 << 33), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def resized():
    parts = [numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "i"), ints("s", 1, 1, 1 << 16, 1 << 16)]
    return model([helper.make_node("Resize", ["i", "", "", "s"], ["m"], mode="nearest")], parts)


@hostile(MEMORY)
def outer_product():
    parts = [ints("s", 1 << 17, 1), ints("t", 1, 1 << 17)]
    return model(
        [node("ConstantOfShape", "s", "a"), node("ConstantOfShape", "t", "b"), node("MatMul", "a b", "m")], parts
    )


@hostile(MEMORY)
def random_normal():
    return model([helper.make_node("RandomNormal", [], ["m"], shape=[1 << 16, 1 << 16])])


@hostile(MEMORY, is_quick=True)
def many_middling():
    nodes = [node("ConstantOfShape", "s", f"c{i}") for i in range(200)]
    nodes.append(helper.make_node("Sum", [f"c{i}" for i in range(200)], ["m"]))
    return model(nodes, [ints("s", 1 << 23)])


@hostile(MEMORY)
def expand_in_a_body():
    body = helper.make_graph([node("Expand", "one s", "b")], "body", [], [value("b", None)])
    nodes = [node("If", "yes", "m", then_branch=body, else_branch=body)]
    parts = [ints("s", 1 << 15, 1 << 15), scalar("one", [1], np.float32), scalar("yes", True, bool)]
    return model(nodes, parts)


@hostile(MEMORY)
def initializer_without_its_values():
    return model([node("Identity", "w", "m")], [TensorProto(name="w", data_type=FLOAT, dims=(1 << 20, 1 << 20))])


@hostile(MEMORY, is_quick=True)
def sparse_initializer():
    made = model([node("Identity", "w", "m")])
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, ints("", 0), [1 << 18, 1 << 18]))
    return made


@hostile(MEMORY)
def sparse_constant():
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    sparse = helper.make_sparse_tensor(values, ints("", 0), [1 << 18, 1 << 18])
    return model([helper.make_node("Constant", [], ["m"], sparse_value=sparse)])


@hostile(MEMORY)
def grows_while_it_runs():
    nodes = [node("Identity", "x", "c0"), *(node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(34))]
    return model([*nodes, node("Identity", "c34", "m")])


# --- what never ends


def endless(body_nodes, scans=(), trip: int | None = (1 << 63) - 1):
    """A loop whose condition stays true."""
    outputs = [value("go", (), BOOL), value("v", (2,)), *scans]
    inputs = [value("i", (), INT64), value("c", (), BOOL), value("before", (2,))]
    body = helper.make_graph([node("Identity", "c", "go"), *body_nodes], "body", inputs, outputs)
    names = ["last", *(f"s{number}" for number in range(len(scans)))]
    loop = helper.make_node("Loop", ["" if trip is None else "n", "yes", "x"], names, body=body)
    parts = [scalar("yes", True, bool), *([] if trip is None else [scalar("n", trip, np.int64)])]
    return model([loop, node("Identity", "last", "m")], parts)


@hostile(TIME, is_quick=True)
def endless_loop():
    return endless([node("Add", "before before", "v")])


@hostile(TIME)
def endless_loop_without_a_count():
    return endless([node("Add", "before before", "v")], trip=None)


@hostile(MEMORY, is_quick=True)
def endless_loop_that_keeps_all():
    nodes = [node("Add", "before before", "v"), node("ConstantOfShape", "size", "kept")]
    nodes.insert(0, helper.make_node("Constant", [], ["size"], value=ints("", 1 << 20)))
    return endless(nodes, [value("kept", None)])


@hostile(TIME)
def loop_in_loop():
    inner_inputs = [value("j", (), INT64), value("d", (), BOOL), value("w", (2,))]
    inner = helper.make_graph(
        [node("Identity", "d", "on"), node("Add", "w w", "u")],
        "inner",
        inner_inputs,
        [value("on", (), BOOL), value("u", (2,))],
    )
    return endless([node("Loop", "n c before", "v", body=inner)])


@hostile(MEMORY)
def products_of_constants():
    nodes = [node("ConstantOfShape", "s", "c0"), *(node("MatMul", f"c{i} c0", f"c{i + 1}") for i in range(500))]
    return model([*nodes, node("Identity", "c500", "m")], [ints("s", 3000, 3000)])


# --- graphs and functions in circles, and bodies in bodies


def with_functions(*functions, call="f0", domain="ours"):
    made = model([helper.make_node(call, ["x"], ["m"], domain=domain)], domains=[domain])
    made.functions.extend(functions)
    return made


def function(name: str, *calls: str, domain="ours"):
    nodes = [
        helper.make_node(call, [f"t{i}"], [f"t{i + 1}"], domain=domain if call.startswith("f") else "")
        for i, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    return helper.make_function(domain, name, ["t0"], [f"t{len(calls)}"], nodes, opsets)


@hostile("functions of its own|domain 'ours'", is_quick=True)
def function_that_calls_itself():
    return with_functions(function("f0", "f0"))


@hostile("functions of its own|domain")
def functions_that_call_each_other():
    return with_functions(function("f0", "f1"), function("f1", "f0"))


@hostile("functions of its own|domain")
def functions_that_double():
    return with_functions(*(function(f"f{i}", *[f"f{i + 1}"] * 10) for i in range(12)), function("f12", "Relu"))


@hostile("functions of its own")
def function_of_a_known_domain():
    functions = [function("f0", "f0", domain="com.microsoft")]
    return with_functions(*functions, domain="com.microsoft")


@hostile("cannot load", is_quick=True)
def cycle():
    return model([node("Add", "x b", "a"), node("Add", "x a", "b"), node("Identity", "b", "m")])


@hostile("cannot load")
def node_that_reads_itself():
    return model([node("Add", "x m", "m")])


@hostile("cannot load")
def name_made_twice():
    return model([node("Relu", "x", "m"), node("Neg", "x", "m")])


@hostile("cannot load")
def input_that_nobody_makes():
    return model([node("Relu", "nothing", "m")])


def nested(depth: int, operator: str = "If") -> bytes:
    """Bodies in bodies, as bytes: no library would build them."""
    content = b""
    for _ in range(depth):
        attribute = tagged(1, b"then_branch") + tagged(6, content) + b"\xa0\x01\x05"
        content = tagged(1, tagged(4, operator.encode()) + tagged(1, b"x") + tagged(2, b"y") + tagged(5, attribute))
    return b"\x08\x08" + tagged(7, content + tagged(2, b"g"))


def tagged(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


@hostile("bodies in bodies, more than 16 deep", is_quick=True)
def bodies_ten_thousand_deep():
    return nested(10_000)


@hostile("bodies in bodies")
def loops_thirty_deep():
    return nested(30, "Loop")


@hostile("type of types")
def types_of_types():
    content = b""
    for _ in range(5000):
        content = tagged(4, tagged(1, content))
    return b"\x08\x08" + tagged(7, tagged(11, tagged(1, b"x") + tagged(2, content)))


# --- sizes


@hostile(MEMORY, is_quick=True)
def giant_input():
    return model([node("Relu", "x", "m")], inputs=[value("x", (1 << 62,))])


@hostile(MEMORY)
def sizes_whose_product_overflows():
    return model([node("Relu", "x", "m")], inputs=[value("x", (1 << 32, 1 << 32))])


@hostile(MEMORY)
def no_element_but_giant():
    return model([node("Relu", "x", "m")], inputs=[value("x", (0, 1 << 62))])


@hostile("has the negative size -1", is_quick=True)
def negative_input():
    return model([node("Relu", "x", "m")], inputs=[value("x", (-1,))])


@hostile("has the negative size")
def negative_output():
    return model([node("Relu", "x", "y")], outputs=[value("y", (-(1 << 63),))])


@hostile("has the negative size")
def negative_weight():
    return model([node("Identity", "w", "m")], [TensorProto(name="w", data_type=FLOAT, dims=(-5,))])


@hostile("write all into the shard", is_quick=True)
def missing_size():
    return model([node("Relu", "z", "m")], inputs=[value("x", (2,)), value("z", ("n",))])


@hostile("")
def missing_shape():
    return model([node("Relu", "z", "m")], inputs=[value("x", (2,)), value("z", None)])


@hostile(MEMORY)
def giant_size_between():
    made = model([node("Relu", "x", "m")])
    made.graph.value_info.append(value("m", (1 << 50,)))
    return made


# --- operators that nobody knows


@hostile("cannot load|No Op registered")
def unknown_operator():
    return model([node("Explode", "x", "m")])


@hostile("no libraries of operators", is_quick=True)
def unknown_domain():
    return model([helper.make_node("Run", ["x"], ["m"], domain="evil.ops")], domains=["evil.ops"])


@hostile("no libraries of operators")
def unknown_domain_in_a_body():
    body = helper.make_graph([helper.make_node("Run", ["x"], ["b"], domain="evil")], "b", [], [value("b", (2,))])
    parts = [scalar("yes", True, bool)]
    return model([node("If", "yes", "m", then_branch=body, else_branch=body)], parts, domains=["evil"])


@hostile("'EPContext', which reads files")
def compiled_context():
    made = helper.make_node("EPContext", ["x"], ["m"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    return model([made], domains=["com.microsoft"])


@hostile("cannot load")
def operators_of_the_future():
    made = model([node("Relu", "x", "m")])
    made.opset_import[0].version = 99_999
    return made


@hostile("cannot load")
def format_of_the_future():
    made = model([node("Relu", "x", "m")])
    made.ir_version = 1 << 40
    return made


@hostile("")
def no_operator_set():
    made = model([node("Relu", "x", "m")])
    del made.opset_import[:]
    return made


@hostile(f"more than 65536 nodes|{TIME}")
def a_hundred_thousand_nodes():
    nodes = [node("Relu", f"c{i}", f"c{i + 1}") for i in range(100_000)]
    return model([node("Identity", "x", "c0"), *nodes, node("Identity", "c100000", "m")])


@hostile(f"cannot load|crash|{TIME}")
def a_node_with_a_million_inputs():
    return model([helper.make_node("Relu", ["x"] * 1_000_000, ["m"])])


# --- weights that lie elsewhere


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


# --- rubbish


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


def truncations(n: int = 100) -> list[bytes]:
    """A good graph, cut off at `n` places."""
    whole = matmul_shard().contents[matmul_shard().ref.graph.sha256]
    places = np.linspace(0, len(whole) - 1, n).astype(int)
    return [whole[:place] for place in dict.fromkeys(places.tolist())]


def is_one_line(message: str) -> bool:
    return not re.search(r"[\n\r]", message) and len(message) < 2000
