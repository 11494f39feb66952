"""Models in circles, too deep, of impossible sizes, of operators that nobody knows."""

from hostile_kit import FLOAT, MEMORY, TIME, hostile, model, node, scalar, value
from onnx import TensorProto, helper

from node_agent.dataplane.envelope import varint


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
