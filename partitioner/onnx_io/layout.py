"""A model bound to sizes: its layers in order, its constants, and the graph that the rest of the package sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from partitioner.errors import UnsupportedModelError
from partitioner.graph import Graph, Layer, Unit
from partitioner.onnx_io.constants import Constants, find_constants, layer_nodes
from partitioner.onnx_io.digest import model_digest
from partitioner.onnx_io.dimensions import bind_dimensions
from partitioner.onnx_io.export_cache import ModelCache
from partitioner.onnx_io.fixing import fix_inputs
from partitioner.onnx_io.flops import count_flops
from partitioner.onnx_io.flow import Group
from partitioner.onnx_io.fold import fold_shapes
from partitioner.onnx_io.fusion import find_inner_tensors, find_survivors
from partitioner.onnx_io.given_inputs import sizes_of_inputs
from partitioner.onnx_io.inference import static_shapes
from partitioner.onnx_io.naming import layer_names, unit_names
from partitioner.onnx_io.order import group_layers, order_groups
from partitioner.onnx_io.reader import SourceModel
from partitioner.onnx_io.shapes import TensorSpecs, find_specs
from partitioner.onnx_io.tidy import tidy
from partitioner.onnx_io.weights import tensor_bytes
from partitioner.onnx_io.wiring import Wiring

_STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What loading found. The protobuf in it is not changed any more."""

    proto: onnx.ModelProto
    nodes: tuple[NodeProto, ...]
    """Of the layers, in their order."""
    constants: Constants
    fixed: Mapping[str, np.ndarray]
    """Inputs of the model whose values were given; the graph does not have them."""
    given: Mapping[str, np.ndarray]
    """Arrays of the graph's inputs that a user gave; empty where none were given."""
    graph: Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A model with concrete inputs, not yet searched for units."""

    proto: onnx.ModelProto
    batch: int
    fixed: Mapping[str, np.ndarray]
    given: Mapping[str, np.ndarray]


def lay_out(
    source: SourceModel,
    *,
    batch: int | None,
    dims: Mapping[str, int],
    inputs: Mapping[str, np.ndarray],
    cache: ModelCache,
) -> Layout:
    """Binds a model to sizes and finds its units.

    Args:
        source: The model.
        batch: Samples in one run; None for what the inputs have, 1 without them.
        dims: Sizes of free dimensions and values of inputs, by name.
        inputs: Arrays by name, to take sizes from and to run on; empty for random ones.
        cache: Knows what onnxruntime fuses.

    Raises:
        ModelError: A dimension is missing or wrong.
        UnsupportedModelError: The model holds something that cannot be run or cut.
    """
    what = source.name
    bound = _bind(source, batch, dims, inputs)
    proto = fold_shapes(bound.proto, what=what)
    constants = find_constants(proto.graph)
    nodes = layer_nodes(proto.graph, constants)
    if not nodes:
        raise UnsupportedModelError(f"{what}: no layer depends on the inputs, so that there is nothing to split")
    names = tuple(value.name for value in proto.graph.input)
    outputs = tuple(value.name for value in proto.graph.output)
    wiring = Wiring(nodes)
    survivors = cache.survivors(proto, lambda: find_survivors(proto, source.store, what=what))
    specs = find_specs(proto, (*names, *wiring.maker), source.store, bound.given, what=what)
    _check_ends(specs, names, outputs, what)
    inner = find_inner_tensors(nodes, survivors, outputs) | specs.varying | specs.foreign
    n_bytes = {name: spec.n_bytes for name, spec in specs.spec_of.items()}
    groups = order_groups(group_layers(wiring, inner & wiring.maker.keys()), wiring, n_bytes, names, outputs)
    ordered = tuple(nodes[index] for group in groups for index in group)
    graph = _describe(
        source, proto, batch=bound.batch, nodes=ordered, groups=_renumber(groups), constants=constants, specs=specs
    )
    return Layout(proto=proto, nodes=ordered, constants=constants, fixed=bound.fixed, given=bound.given, graph=graph)


def _bind(source: SourceModel, batch: int | None, dims: Mapping[str, int], inputs: Mapping[str, np.ndarray]) -> _Bound:
    proto = onnx.ModelProto()
    proto.CopyFrom(source.proto)
    fixed = fix_inputs(proto.graph, dims)
    sizes: Mapping[str, int] = {name: size for name, size in dims.items() if name not in fixed}
    if inputs:
        found = sizes_of_inputs(proto.graph, inputs, fixed, batch=batch, sizes=sizes, what=source.name)
        batch, sizes = found.batch, found.sizes
    bind_dimensions(proto.graph, batch=batch or 1, sizes=sizes, what=source.name)
    tidy(proto.graph, what=source.name)
    given = {name: array for name, array in inputs.items() if name not in fixed}
    return _Bound(proto=proto, batch=batch or 1, fixed=fixed, given=given)


def _check_ends(specs: TensorSpecs, inputs: Sequence[str], outputs: Sequence[str], what: str) -> None:
    for name in (*inputs, *outputs):
        if name in specs.foreign:
            raise UnsupportedModelError(
                f"{what}: {name!r} has an element type that cannot travel between stages: "
                "give the model numeric inputs and outputs"
            )
        if name in specs.varying:
            raise UnsupportedModelError(
                f"{what}: the shape of output {name!r} depends on the values of the inputs: "
                "cut the model before the operator that selects"
            )


def _renumber(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups over layers numbered anew, in their order."""
    renumbered, start = [], 0
    for group in groups:
        renumbered.append(tuple(range(start, start + len(group))))
        start += len(group)
    return tuple(renumbered)


def _describe(
    source: SourceModel,
    proto: onnx.ModelProto,
    *,
    batch: int,
    nodes: Sequence[NodeProto],
    groups: Sequence[Group],
    constants: Constants,
    specs: TensorSpecs,
) -> Graph:
    wiring = Wiring(nodes)
    shapes = static_shapes(proto.graph) | {name: spec.shape for name, spec in specs.spec_of.items()}
    flops = [count_flops(node, shapes) for node in nodes]
    inputs = tuple(value.name for value in proto.graph.input)
    live = {*inputs, *wiring.maker}
    layers = tuple(
        Layer(
            index=index,
            name=name,
            op=node.op_type if node.domain in _STANDARD_DOMAINS else f"{node.domain}.{node.op_type}",
            inputs=tuple(read for read in wiring.reads[index] if read in live),
            outputs=wiring.writes[index],
            weight_bytes=sum(tensor_bytes(tensor) for tensor in constants.closure(wiring.reads[index]).tensors),
            flops=flops[index],
        )
        for index, (node, name) in enumerate(zip(nodes, layer_names(nodes), strict=True))
    )
    names = unit_names(groups, nodes, flops)
    return Graph(
        name=source.name,
        model_sha256=model_digest(source),
        batch=batch,
        layers=layers,
        units=tuple(
            Unit(index=index, name=name, start=group[0], stop=group[-1] + 1)
            for index, (group, name) in enumerate(zip(groups, names, strict=True))
        ),
        tensors=tuple(specs.spec_of[name] for name in (*inputs, *wiring.maker) if name in specs.spec_of),
        inputs=inputs,
        outputs=tuple(value.name for value in proto.graph.output),
    )
