"""Errors of coded boundaries against the same computed directly: by numpy, or by a session on a hand-made tail."""

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper
from onnx_toy_graphs import branched_network, chain, node, save, value, weight

from partitioner.errors import ModelError, PlanError
from partitioner.onnx_io.coding_trial import measure_codings, output_error, spread_positions
from partitioner.onnx_io.span_runner import SpanRunner


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
    spans = SpanRunner(model, tmp_path)
    expected = model.run_whole(samples[0])["y"]
    ratios_to_sum, ratios_to_root = [], []
    for first in range(1, n_units - 1):
        coded = {name: round_trip(values)[0] for name, values in spans.open(0, first)(samples[0]).items()}
        for second in range(first + 1, n_units):
            again = {name: round_trip(values)[0] for name, values in spans.open(first, second)(coded).items()}
            both = relative_l2(spans.open(second, n_units)(again)["y"], expected)
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


def test_bytes_are_those_of_the_codec_and_exact_ones_have_no_error(load, tmp_path):
    model = load(branched_network(tmp_path / "t.onnx"))
    graph = model.graph
    n_runs = []
    codings = measure_codings(
        model,
        {"half": half, "exact": exact},
        samples=[model.sample_inputs(seed) for seed in range(2)],
        on_progress=lambda n_done, n_total, _what: n_runs.append((n_done, n_total)),
    )
    assert [coding.codec for coding in codings] == ["half", "exact"]
    for position in range(graph.n_units + 1):
        specs = [graph.spec_of[name] for name in graph.boundaries[position]]
        assert codings[0].wire_bytes[position] == sum(
            spec.n_bytes // 2 if spec.dtype == "float32" else spec.n_bytes for spec in specs
        )
        assert codings[1].wire_bytes[position] == sum(1 + spec.n_bytes // 2 for spec in specs)
    assert codings[1].output_errors == (0.0,) * (graph.n_units + 1)
    assert all(0 < error < 0.01 for error in codings[0].output_errors)
    assert n_runs == [(index, graph.n_units + 1) for index in range(graph.n_units + 2)]


def test_bytes_are_the_mean_of_the_samples_and_errors_the_worst(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx", n_blocks=2))
    samples = [model.sample_inputs(0), {"x": 3 * model.sample_inputs(1)["x"]}]

    def growing(values):
        return values * np.float32(1.01), int(np.abs(values).max() * 1000)

    alone = [measure_codings(model, {"c": growing}, samples=[sample])[0] for sample in samples]
    (together,) = measure_codings(model, {"c": growing}, samples=samples)
    for position in range(model.graph.n_units + 1):
        assert together.wire_bytes[position] == math.ceil(sum(one.wire_bytes[position] for one in alone) / 2)
        assert together.output_errors[position] == max(one.output_errors[position] for one in alone)
    assert together.output_errors[-1] == pytest.approx(0.01, rel=1e-3)


def test_what_is_not_measured_is_not_allowed(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx", n_blocks=4))
    graph = model.graph
    samples = [model.sample_inputs(0)]
    whole = measure_codings(model, {"half": half, "exact": exact}, samples=samples)
    thinned = measure_codings(model, {"half": half, "exact": exact}, samples=samples, positions=[0, 3])
    for full, few in zip(whole, thinned, strict=True):
        for position in range(graph.n_units + 1):
            if position in (0, 3):
                assert few.output_errors[position] == full.output_errors[position]
                assert few.wire_bytes[position] == full.wire_bytes[position]
            else:
                assert few.output_errors[position] == math.inf
                assert few.wire_bytes[position] == graph.boundary_bytes(position)


def test_a_coded_tensor_that_breaks_the_output_is_not_allowed(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), node("Sqrt", "t", "s"), node("MatMul", "s w", "y")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", [1, 8])], [value("y", None)], [weight("w", 8, 3)])
    model = load(path)

    def below_zero(values):
        return values - 5, values.nbytes

    samples = [{"x": np.linspace(0.1, 1, 8, dtype=np.float32)[None]}]
    (coding,) = measure_codings(model, {"c": below_zero}, samples=samples)
    assert coding.output_errors[1] == math.inf
    assert math.isfinite(coding.output_errors[-1])


def test_a_model_that_fails_on_what_was_decoded_is_a_finding(load, tmp_path):
    nodes = [node("Relu", "x", "r"), node("Cast", "r", "i", to=TensorProto.INT64), node("Gather", "table i", "y")]
    table = weight("table", 4, 300)
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", [1, 3])], [value("y", None)], [table]))

    def far(values):
        return (values + 100 if values.dtype.kind == "f" else values), values.nbytes

    (coding,) = measure_codings(model, {"c": far}, samples=[{"x": np.array([[0.5, 1.5, 3.5]], np.float32)}])
    assert coding.output_errors[0] == math.inf


def test_bad_orders_are_refused_by_name(load, tmp_path):
    model = load(chain(tmp_path / "t.onnx", n_blocks=2))
    with pytest.raises(ModelError, match="at least one sample"):
        measure_codings(model, {"half": half}, samples=[])
    with pytest.raises(ModelError, match="input 'x', which a sample lacks"):
        measure_codings(model, {"half": half}, samples=[{}])
    with pytest.raises(PlanError, match="must lie in 0…"):
        measure_codings(model, {"half": half}, samples=[model.sample_inputs(0)], positions=[99])


@pytest.mark.parametrize(
    ("obtained", "expected", "error"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.5], [3.0, 4.0], 0.1),
        ([3e-30, 4.5e-30], [3e-30, 4e-30], 0.1),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([0.0, 1.0], [0.0, 0.0], math.inf),
        ([np.nan, 4.0], [3.0, 4.0], math.inf),
        ([np.nan, 4.0], [np.nan, 4.0], 0.0),
        ([-np.inf, 4.4], [-np.inf, 4.0], 0.1),
        ([np.inf, 4.0], [-np.inf, 4.0], math.inf),
        ([1, 2, 3, 4], [1, 2, 3, 5], 0.25),
        ([True, False], [True, True], 0.5),
        ([1.0], [1.0, 2.0], math.inf),
        ([1], [1.0], math.inf),
    ],
)
def test_error_of_an_output(obtained, expected, error):
    assert output_error(np.array(obtained), np.array(expected)) == pytest.approx(error)


def test_positions_are_spread_and_prefer_few_bytes(load, tmp_path):
    graph = load(cnn(tmp_path / "cnn.onnx")).graph
    assert spread_positions(graph, 100) == tuple(range(graph.n_units + 1))
    assert spread_positions(graph, 2) == (0, graph.n_units)
    (_, middle, _) = spread_positions(graph, 3)
    assert graph.boundary_bytes(middle) == min(graph.boundary_bytes(position) for position in range(1, graph.n_units))
    with pytest.raises(PlanError, match="2 or more"):
        spread_positions(graph, 1)
