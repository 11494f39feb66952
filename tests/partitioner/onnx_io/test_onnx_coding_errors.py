"""Errors of coded boundaries against the same computed directly: by numpy, or by a session on a hand-made tail."""

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from onnx_toy_graphs import node, save, value, weight

from partitioner.onnx_io.coding_trial import measure_codings
from partitioner.onnx_io.unit_chain import open_chain


def half(values):
    if values.dtype != np.float32:
        return values, values.nbytes
    return values.astype(np.float16).astype(np.float32), values.size * 2


def coarse(values):
    """Eight bits, symmetric: coarser than the node's own codec, and known here."""
    if values.dtype != np.float32 or not values.any():
        return values, values.nbytes
    step = np.float32(np.abs(values).max() / 127)
    return np.rint(values / step) * step, values.size + 4


def exact(values):
    return values.copy(), 1 + values.nbytes // 2


def relative_l2(obtained, expected):
    wide = expected.astype(np.float64)
    return float(np.linalg.norm(obtained - wide) / np.linalg.norm(wide))


CNN_SHAPE = (1, 3, 12, 12)


def cnn(path, first=0):
    """Convolutions with a residual; from node `first` on, with what is alive there as inputs."""
    nodes = [
        node("Conv", "x k0", "c0", pads=[1, 1, 1, 1]),
        node("Relu", "c0", "r0"),
        node("Conv", "r0 k1", "c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1"),
        node("Conv", "r1 k2", "c2", pads=[1, 1, 1, 1]),
        node("Add", "c2 r0", "s"),
        node("Relu", "s", "r2"),
        node("GlobalAveragePool", "r2", "p"),
        node("Flatten", "p", "f"),
        node("MatMul", "f w", "y"),
    ]
    kernels = [weight("k0", 8, 3, 3, 3), weight("k1", 8, 8, 3, 3), weight("k2", 8, 8, 3, 3), weight("w", 8, 5)]
    if not first:
        return save(path, nodes, [value("x", CNN_SHAPE)], [value("y", None)], kernels)
    nodes = nodes[first:]
    made = {name for one in nodes for name in one.output}
    known = {tensor.name for tensor in kernels}
    free = dict.fromkeys(name for one in nodes for name in one.input if name not in made | known)
    return save(path, nodes, [value(name, None) for name in free], [value("y", None)], kernels)


def test_errors_of_a_residual_network_are_those_of_a_tail_made_by_hand(load, tmp_path):
    model = load(cnn(tmp_path / "cnn.onnx"))
    graph = model.graph
    samples = [model.sample_inputs(seed) for seed in range(3)]
    codings = measure_codings(model, {"half": half, "coarse": coarse}, samples=samples)
    whole = onnx.load(tmp_path / "cnn.onnx")
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for one in whole.graph.node for name in one.output[:1])
    del whole.graph.output[0]
    everything = ort.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in everything.get_outputs()]
    n_compared = 0
    for position in range(1, graph.n_units):
        tail = ort.InferenceSession(cnn(tmp_path / "tail.onnx", graph.units[position].start))
        for coding, round_trip in zip(codings, (half, coarse), strict=True):
            errors = []
            for sample in samples:
                alive = dict(zip(names, everything.run(None, sample), strict=True))
                fed = {spec.name: round_trip(alive[spec.name])[0] for spec in tail.get_inputs()}
                errors.append(relative_l2(tail.run(["y"], fed)[0], alive["y"]))
            # A boundary may differ in its last bit, which moves a value over the edge of a level.
            assert coding.output_errors[position] == pytest.approx(max(errors), rel=0.02)
            n_compared += 1
    assert n_compared >= 8
    assert any(len(boundary) > 1 for boundary in graph.boundaries), "the residual is coded, too"


WIDTH, LENGTH = 32, 12


def attention_weights():
    rng = np.random.default_rng(8)
    scales = {"wq": WIDTH, "wk": WIDTH, "wv": WIDTH, "wo": WIDTH, "w1": 4 * WIDTH}
    drawn = {name: rng.standard_normal((WIDTH, columns)) / math.sqrt(WIDTH) for name, columns in scales.items()}
    drawn["w2"] = rng.standard_normal((4 * WIDTH, WIDTH)) / math.sqrt(4 * WIDTH)
    drawn["scale"], drawn["bias"] = rng.uniform(0.5, 1.5, WIDTH), rng.normal(0, 0.1, WIDTH)
    drawn["root"] = np.array(math.sqrt(WIDTH))
    return {name: values.astype(np.float32) for name, values in drawn.items()}


ATTENTION = (
    ("LayerNormalization", "x scale bias", "n0"),
    ("MatMul", "n0 wq", "q"),
    ("MatMul", "n0 wk", "k"),
    ("MatMul", "n0 wv", "v"),
    ("Transpose", "k", "kt"),
    ("MatMul", "q kt", "d"),
    ("Div", "d root", "l"),
    ("Softmax", "l", "a"),
    ("MatMul", "a v", "m"),
    ("MatMul", "m wo", "o"),
    ("Add", "o x", "h"),
    ("LayerNormalization", "h scale bias", "n1"),
    ("MatMul", "n1 w1", "u"),
    ("Relu", "u", "g"),
    ("MatMul", "g w2", "e"),
    ("Add", "e h", "y"),
)


def normalise(x, scale, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + bias


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


NUMPY = {
    "LayerNormalization": normalise,
    "MatMul": np.matmul,
    "Transpose": lambda x: x.swapaxes(-1, -2),
    "Div": np.divide,
    "Softmax": softmax,
    "Add": np.add,
    "Relu": lambda x: np.maximum(x, 0),
}


def attention(path):
    attributes = {"Transpose": {"perm": [0, 2, 1]}, "LayerNormalization": {"axis": -1}, "Softmax": {"axis": -1}}
    nodes = [node(op, inputs, output, **attributes.get(op, {})) for op, inputs, output in ATTENTION]
    tensors = [numpy_helper.from_array(values, name) for name, values in attention_weights().items()]
    return save(path, nodes, [value("x", [1, LENGTH, WIDTH])], [value("y", None)], tensors)


def attention_error(x, layers, layers_before, coded_names, round_trip):
    """Relative L2 error by numpy in double precision, when tensors are coded after the first of the layers."""
    values = attention_weights() | {"x": x}
    values = {name: array.astype(np.float64) for name, array in values.items()}
    results = []
    for is_coded in (False, True):
        alive = dict(values)
        for index, (op, inputs, output) in enumerate(layers):
            if is_coded and index == layers_before:
                for name in coded_names:
                    alive[name] = round_trip(alive[name].astype(np.float32))[0].astype(np.float64)
            alive[output] = NUMPY[op](*(alive[name] for name in inputs.split()))
        results.append(alive["y"])
    return relative_l2(results[1], results[0])


def test_errors_of_an_attention_block_are_those_of_numpy(load, tmp_path):
    model = load(attention(tmp_path / "attention.onnx"))
    graph = model.graph
    layer_of = {layer[2]: layer for layer in ATTENTION}
    layers = [layer_of[layer.outputs[0]] for layer in graph.layers]
    assert len(layers) == len(ATTENTION)
    samples = [model.sample_inputs(seed) for seed in range(2)]
    (coding,) = measure_codings(model, {"coarse": coarse}, samples=samples)
    assert graph.n_units >= 8
    for position in range(graph.n_units):
        layers_before = graph.units[position].start
        expected = max(
            attention_error(sample["x"], layers, layers_before, graph.boundaries[position], coarse)
            for sample in samples
        )
        assert coding.output_errors[position] == pytest.approx(expected, rel=0.03), graph.boundaries[position]
        assert expected > 1e-4


@pytest.mark.parametrize("make", [cnn, attention], ids=lambda make: make.__name__)
@pytest.mark.parametrize("round_trip", [half, coarse], ids=lambda codec: codec.__name__)
def test_single_errors_predict_two_coded_boundaries(load, tmp_path, make, round_trip, record_property):
    """Errors of two boundaries are nearly independent: their squares add up, and their sum is hardly ever exceeded."""
    model = load(make(tmp_path / "m.onnx"))
    n_units = model.graph.n_units
    samples = [model.sample_inputs(0)]
    (coding,) = measure_codings(model, {"codec": round_trip}, samples=samples)
    ratios_to_sum, ratios_to_root = [], []
    with open_chain(model) as chain:
        expected = chain.finish(0, samples[0])["y"]
        for first in range(1, n_units - 1):
            boundary = samples[0]
            for position in range(first):
                boundary = chain.step(position, boundary)
            boundary = {name: round_trip(values)[0] for name, values in boundary.items()}
            for second in range(first + 1, n_units):
                boundary = chain.step(second - 1, boundary)
                again = {name: round_trip(values)[0] for name, values in boundary.items()}
                both = relative_l2(chain.finish(second, again)["y"], expected)
                errors = np.array([coding.output_errors[first], coding.output_errors[second]])
                ratios_to_sum.append(both / errors.sum())
                ratios_to_root.append(both / np.linalg.norm(errors))
    record_property("ratio_to_sum", [float(np.min(ratios_to_sum)), float(np.max(ratios_to_sum))])
    print(f"error of two over sum of single errors: {np.percentile(ratios_to_sum, [0, 50, 100])}")  # noqa: T201
    print(f"error of two over root of their squares: {np.percentile(ratios_to_root, [0, 50, 100])}")  # noqa: T201
    assert len(ratios_to_sum) >= 6
    assert max(ratios_to_sum) <= 1.1
    assert 0.5 <= np.median(ratios_to_sum) <= 1.0
    assert 0.8 <= np.median(ratios_to_root) <= 1.25
