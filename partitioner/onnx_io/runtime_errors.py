"""Turns what onnxruntime says about a graph into one line that names the operator."""

import re
from pathlib import Path

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError

_LACKS_KERNEL = re.compile(r"Could not find an implementation for (\S+?)\((-?\d+)\) node with name '([^']*)'")
_NOT_REGISTERED = re.compile(r"(\S+?)\(-?\d+\) is not a registered function/op")
_NO_SCHEMA = re.compile(r"No Op registered for (\S+) with domain_version of (\d+)")
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from \S+ failed:)?")


def explain_refusal(message: str, model: bytes | Path, what: str) -> str:
    """Our message for one of onnxruntime's.

    Args:
        message: Of its exception.
        model: The graph that it refused; searched for the node where the message names only the operator.
        what: Name of the model.
    """
    runtime = f"onnxruntime {ort.__version__}"
    advice = "export the model without it"
    if found := _LACKS_KERNEL.search(message):
        operator, opset, node = found.groups()
        return f"{what}: {runtime} cannot run operator {operator} (opset {opset}) of node {node!r}: {advice}"
    if found := _NO_SCHEMA.search(message):
        operator, opset = found.groups()
        return f"{what}: {runtime} has no operator {operator} in opset {opset}{_nodes_of(operator, model)}: {advice}"
    if found := _NOT_REGISTERED.search(message):
        operator = found.group(1)
        return f"{what}: {runtime} does not know operator {operator}{_nodes_of(operator, model)}: {advice}"
    return f"{what}: {runtime} refuses the graph: {_PREFIX.sub('', ' '.join(message.split()))[:400]}"


def _nodes_of(operator: str, model: bytes | Path) -> str:
    """Where the operator stands in the graph, as text to be appended."""
    try:
        proto = onnx.ModelProto.FromString(model if isinstance(model, bytes) else model.read_bytes())
    except (DecodeError, OSError):
        return ""
    domain, _, op_type = operator.rpartition(":")
    names = [
        node.name or node.output[0] for node in proto.graph.node if (node.op_type, node.domain) == (op_type, domain)
    ]
    return f" (node {names[0]!r}{f' and {len(names) - 1} more' if len(names) > 1 else ''})" if names else ""
