"""Which layers onnxruntime fuses: it is asked, by letting it optimise the whole model."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import NodeProto

from partitioner.onnx_io.node_reads import writes_of
from partitioner.onnx_io.session import write_optimised
from partitioner.onnx_io.trial import trial_copy, write_structure
from partitioner.onnx_io.weights import WeightStore
from partitioner.onnx_io.wiring import Wiring

_ACTIVATIONS = {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Clip"}
_VIEWS = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_STANDARD_DOMAINS = ("", "ai.onnx")


def find_survivors(proto: onnx.ModelProto, store: WeightStore, *, what: str) -> dict[str, int]:
    """Tensors that the optimised graph still makes → index there of the node that makes them.

    Raises:
        UnsupportedModelError: onnxruntime cannot run the model; names the operator that it lacks.
    """
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        model, weights = write_structure(trial_copy(proto), store, Path(folder))
        path = write_optimised(model, Path(folder), weights=weights, what=what)
        optimised = onnx.load_model(path, load_external_data=False)
    return {name: index for index, node in enumerate(optimised.graph.node) for name in writes_of(node)}


def find_inner_tensors(nodes: Sequence[NodeProto], survivors: Mapping[str, int], outputs: Sequence[str]) -> set[str]:
    """Tensors that live inside one fused operator.

    A tensor whose name is gone from the optimised graph was swallowed if everything that depends on it ends up in one
    node there. Otherwise it was only renamed, as when equal layers are merged, and can be cut.

    Args:
        nodes: Layers, sorted.
        survivors: As `find_survivors` returns them.
        outputs: Of the model.
    """
    wiring = Wiring(nodes)
    lasting = {**dict.fromkeys(outputs, -1), **survivors}
    ends: dict[str, frozenset[int]] = {}
    inner = set()
    for index in reversed(range(len(nodes))):
        for name in wiring.writes[index]:
            if name in lasting:
                ends[name] = frozenset((lasting[name],))
                continue
            later = [ends[made] for reader in wiring.readers.get(name, []) for made in wiring.writes[reader]]
            ends[name] = frozenset().union(*later)
            if len(ends[name]) == 1:
                inner.add(name)
    n_readers = Counter({name: len(readers) for name, readers in wiring.readers.items()})
    n_readers.update(outputs)
    return inner | _residual_tensors(nodes, wiring, n_readers) | _viewed_tensors(nodes, wiring, n_readers)


def _viewed_tensors(nodes: Sequence[NodeProto], wiring: Wiring, n_readers: Mapping[str, int]) -> set[str]:
    """Tensors that are only looked at in another shape: a cut after the view sends the same bytes."""
    return {
        node.input[0]
        for node in nodes
        if node.op_type in _VIEWS
        and node.domain in _STANDARD_DOMAINS
        and node.input[0] in wiring.maker
        and n_readers[node.input[0]] == 1
    }


def _residual_tensors(nodes: Sequence[NodeProto], wiring: Wiring, n_readers: Mapping[str, int]) -> set[str]:
    """Tensors inside Conv → Add → activation, which onnxruntime fuses only when it chooses the layout for a processor.

    Source: onnxruntime/core/optimizer/nchwc_transformer.cc, where an Add takes in the first of its operands that is
    made by a convolution and read by nobody else.
    """
    inner = set()
    for index, node in enumerate(nodes):
        if node.op_type != "Add" or node.domain not in _STANDARD_DOMAINS or len(wiring.reads[index]) != 2:
            continue
        operands = [name for name in node.input if name in wiring.maker and n_readers[name] == 1]
        fused = next((name for name in operands if nodes[wiring.maker[name]].op_type == "Conv"), None)
        if fused is None:
            continue
        inner.add(fused)
        readers = wiring.readers.get(node.output[0], [])
        if n_readers[node.output[0]] == 1 and len(readers) == 1 and nodes[readers[0]].op_type in _ACTIVATIONS:
            inner.add(node.output[0])
    return inner
