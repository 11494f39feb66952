import dataclasses
import io
import math

import numpy as np
import pytest
from rich.console import Console

from coordinator.coding import choose_codecs, commonest_dtype, fit_rates, profile_codecs, round_trip
from coordinator.config import parse_cluster
from coordinator.errors import MeasurementError
from coordinator.fleet import Fleet, FleetNode, connect_fleet
from coordinator.report.codec_table import codec_table
from node_agent.codecs import CODECS, time_codecs
from node_agent.messages import CodecProfileRequest, CodecSample, NodeDescription
from partitioner.cluster import Cluster
from partitioner.codec import BoundaryCoding, CodecRate, CodecTable
from partitioner.cost_faults import input_faults
from partitioner.onnx_io import load_model
from partitioner.profile import Profile
from partitioner.serialize import load_artefact, save_artefact

SLOWDOWN = 50


@pytest.fixture(scope="module")
def model(toy_model):
    return load_model(str(toy_model))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    cluster = {
        "name": "two",
        "nodes": [
            {"name": "quick", "local": True},
            {"name": "slow", "local": True, "emulate": {"slowdown": SLOWDOWN}},
        ],
    }
    with connect_fleet(parse_cluster(cluster), run_dir=tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def table(fleet, model):
    return profile_codecs(fleet, model, ["all"], seed=4)


def test_every_codec_is_measured_at_every_position_on_every_node(table, model):
    n_units = model.graph.n_units
    assert (table.model_sha256, table.batch, table.n_units) == (model.graph.model_sha256, 1, n_units)
    assert [coding.codec for coding in table.codings] == ["float16", "int8", "zstd", "lz4"]
    assert set(table.rate_of) == {(node, codec) for node in ("quick", "slow") for codec in CODECS[1:]}
    for coding in table.codings:
        assert len(coding.wire_bytes) == len(coding.output_errors) == n_units + 1
        assert all(map(math.isfinite, coding.output_errors))
    for position in range(n_units + 1):
        raw = model.graph.boundary_bytes(position)
        assert table.coding_of["float16"].wire_bytes[position] == raw // 2
        n_tensors = len(model.graph.boundaries[position])
        assert table.coding_of["int8"].wire_bytes[position] == raw // 4 + 16 * n_tensors


def test_errors_are_those_of_the_codec(table, model):
    assert table.coding_of["zstd"].output_errors == table.coding_of["lz4"].output_errors == (0.0,) * (table.n_units + 1)
    for position in range(1, table.n_units):
        half, eight = (table.coding_of[codec].output_errors[position] for codec in ("float16", "int8"))
        assert 1e-6 < half < 1e-3
        assert 3 < eight / half < 300
    samples = [model.sample_inputs(4 + index) for index in range(4)]
    outputs = [model.run_whole(sample)["y"] for sample in samples]
    coded = [model.run_whole({"x": round_trip("int8")(sample["x"])[0]})["y"] for sample in samples]
    errors = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(coded, outputs, strict=True)]
    assert table.coding_of["int8"].output_errors[0] == pytest.approx(max(errors), rel=1e-3)


def test_an_emulated_device_codes_more_slowly(table):
    for codec in ("zstd", "lz4"):
        quick, slow = table.rate_of["quick", codec], table.rate_of["slow", codec]
        for seconds in (CodecRate.encode_seconds, CodecRate.decode_seconds):
            assert SLOWDOWN / 3 < seconds(slow, 1 << 20) / seconds(quick, 1 << 20) < SLOWDOWN * 3


def test_the_table_is_what_the_cost_model_takes(table, model, fleet, tmp_path):
    cluster = Cluster(name="two", devices=tuple(node.device for node in fleet.nodes), links=())
    profile = Profile(model_sha256=table.model_sha256, batch=1, n_units=table.n_units, devices=())
    faults = input_faults(model.graph, cluster, profile, table)
    assert [fault for fault in faults if "codec" in fault] == []
    fewer = dataclasses.replace(table, rates=table.rates[1:])
    assert any("codec" in fault for fault in input_faults(model.graph, cluster, profile, fewer))
    save_artefact(tmp_path / "codecs.json", table, seed=0)
    assert load_artefact(tmp_path / "codecs.json", CodecTable) == table


def test_progress_names_nodes_and_positions(fleet, model):
    seen = []
    profile_codecs(fleet, model, ["int8"], on_progress=lambda *step: seen.append(step))
    assert ("quick", 0, 1, "timing int8") in seen
    assert ("slow", 1, 1, "timed") in seen
    n_positions = model.graph.n_units + 1
    assert [step[1] for step in seen if step[0] == "outputs"] == list(range(n_positions + 1))


def fleet_of(**codecs_of):
    """Nodes that cannot be talked to, with these codecs."""
    blank = {field.name: "" for field in dataclasses.fields(NodeDescription)}
    nodes = tuple(
        FleetNode(
            name=name,
            address="",
            client=None,
            description=NodeDescription(**(blank | {"codecs": codecs})),
            config=None,
            tls=None,
        )
        for name, codecs in codecs_of.items()
    )
    return Fleet(config=None, nodes=nodes)


def test_all_means_what_every_node_has():
    fleet = fleet_of(a=CODECS, pi=("none", "float16", "int8"))
    assert choose_codecs(fleet, ["all"]) == ("float16", "int8")
    assert choose_codecs(fleet, ["int8", "none", "int8"]) == ("int8",)
    assert choose_codecs(fleet_of(a=CODECS), ["lz4", "zstd"]) == ("lz4", "zstd")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["zstd"], "Node 'pi' has no codec 'zstd', but none, int8: install"),
        (["all", "zstd"], "Node 'pi' has no codec 'zstd'"),
        (["gzip"], "no codec 'gzip': choose among none, float16, int8, zstd, lz4, or all"),
        (["none"], "no codec to measure"),
        ([], "no codec to measure"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_codecs_that_cannot_be_measured_are_refused_by_name(wanted, words):
    with pytest.raises(MeasurementError, match=words):
        choose_codecs(fleet_of(a=CODECS, pi=("none", "int8")), wanted)


def test_a_node_of_an_older_version_has_no_codecs():
    with pytest.raises(MeasurementError, match="Node 'old' has no codec 'int8', but none at all"):
        choose_codecs(fleet_of(old=()), ["int8"])


def test_rates_are_those_that_the_times_were_made_with():
    rate = CodecRate(
        device="d",
        codec="zstd",
        encode_fixed_seconds=3e-5,
        encode_bytes_per_second=2e8,
        decode_fixed_seconds=1e-5,
        decode_bytes_per_second=5e8,
    )
    rng = np.random.default_rng(0)
    samples = [
        CodecSample(
            codec="zstd",
            n_bytes=n_bytes,
            wire_bytes=1,
            encode_seconds=rate.encode_seconds(n_bytes) * rng.uniform(0.98, 1.02),
            decode_seconds=rate.decode_seconds(n_bytes) * rng.uniform(0.98, 1.02),
        )
        for n_bytes in (4 << 10, 32 << 10, 256 << 10, 1 << 20)
        for _ in range(9)
    ]
    (fitted,) = fit_rates("d", samples)
    for n_bytes in (1000, 100_000, 10_000_000):
        assert fitted.encode_seconds(n_bytes) == pytest.approx(rate.encode_seconds(n_bytes), rel=0.05)
        assert fitted.decode_seconds(n_bytes) == pytest.approx(rate.decode_seconds(n_bytes), rel=0.05)
    with pytest.raises(MeasurementError, match="two sizes"):
        fit_rates("d", samples[:9])


def test_fitted_rates_predict_sizes_that_were_not_timed():
    request = CodecProfileRequest(
        codecs=("lz4",), dtype="float32", sizes_bytes=(4 << 10, 32 << 10, 100_000, 256 << 10, 1 << 20), n_rounds=9
    )
    samples = time_codecs(request)
    (rate,) = fit_rates("d", [sample for sample in samples if sample.n_bytes != 100_000])
    median = np.median([sample.encode_seconds for sample in samples if sample.n_bytes == 100_000])
    assert 0.4 < rate.encode_seconds(100_000) / median < 2.5


def test_the_type_that_most_bytes_have(model):
    assert commonest_dtype(model.graph) == "float32"


def shown(table, graph):
    console = Console(width=160, file=io.StringIO())
    console.print(codec_table(table, graph))
    return console.file.getvalue()


def test_the_table_shows_bytes_errors_and_speeds(model):
    graph = model.graph
    sizes = [graph.boundary_bytes(position) for position in range(graph.n_units + 1)]
    errors = [0.0] + [0.25] * (graph.n_units - 1) + [0.0]
    errors[2] = math.inf
    rate = CodecRate(
        device="pi",
        codec="int8",
        encode_fixed_seconds=0.0,
        encode_bytes_per_second=123e6,
        decode_fixed_seconds=0.0,
        decode_bytes_per_second=456e6,
    )
    table = CodecTable(
        model_sha256=graph.model_sha256,
        batch=1,
        n_units=graph.n_units,
        codings=(
            BoundaryCoding(codec="int8", wire_bytes=tuple(size // 4 for size in sizes), output_errors=tuple(errors)),
            BoundaryCoding(codec="odd", wire_bytes=tuple(sizes), output_errors=(math.inf,) * len(sizes)),
        ),
        rates=(rate,),
    )
    text = shown(table, graph)
    assert "25 %" in text
    assert "2.5e-1" in text
    assert "123  456" in text
    assert "not timed" in text
    assert "usable nowhere" in text
    assert f"Usable at fewer: int8 at {graph.n_units - 2}, odd at 0." in text
