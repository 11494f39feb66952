"""Readable names of layers and units: the torch module where it is known, else the exporter's."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

from onnx import NodeProto


def torch_scope(node: NodeProto) -> str | None:
    """Dotted path of the torch module that a node comes from, empty for the whole model; None where it is unknown."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            try:
                scopes = ast.literal_eval(entry.value)
            except (ValueError, SyntaxError):
                return None
            return str(scopes[-2]) if isinstance(scopes, list) and len(scopes) > 1 else ""
    return None


def layer_names(nodes: Sequence[NodeProto]) -> tuple[str, ...]:
    """A name for each layer, no two alike."""
    return _unique([_layer_name(node) for node in nodes])


def _layer_name(node: NodeProto) -> str:
    stem = next((name for name in node.input[1:] if name.endswith(".weight")), "").removesuffix(".weight")
    scope = torch_scope(node)
    # Folding puts a convolution into the scope of its batch norm, a sibling; equal weights are shared by strangers.
    if stem and (scope is None or scope.rpartition(".")[0] == stem.rpartition(".")[0]):
        return stem
    if scope is None:
        return node.name or node.output[0]
    return f"{scope}.{node.op_type.lower()}" if scope else node.output[0]


def unit_names(groups: Sequence[Sequence[int]], nodes: Sequence[NodeProto], flops: Sequence[int]) -> tuple[str, ...]:
    """A name for each group of layers, no two alike.

    The unit that ends a torch module bears the module's name (`layer1.0`), the others the name of the layer that works
    most (`layer1.0.conv1`).

    Args:
        groups: Indices of the layers of each unit, in order.
        nodes: Of all layers.
        flops: Of all layers.
    """
    layers = layer_names(nodes)
    modules = [_common_module([torch_scope(nodes[layer]) or "" for layer in group]) for group in groups]
    last_of = {ancestor: index for index, module in enumerate(modules) for ancestor in _ancestors(module)}
    names = []
    for index, group in enumerate(groups):
        main = max(group, key=lambda layer: (flops[layer], layer))
        ends_module = last_of.get(modules[index]) == index and len(group) > 1
        names.append(modules[index] if ends_module else layers[main])
    return _unique(names)


def _common_module(scopes: Sequence[str]) -> str:
    """The module that holds all of them; empty for the whole model."""
    steps = zip(*(scope.split(".") for scope in scopes), strict=False)
    return ".".join(step[0] for step in takewhile(lambda step: len(set(step)) == 1, steps))


def _ancestors(module: str) -> Iterator[str]:
    """The module and all that hold it, but for the whole model."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """The names, those met before with a number."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return tuple(unique)
