import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from coordinator.__main__ import run
from coordinator.coding import choose_codecs, fit_rate, round_trip_of
from coordinator.report.codec_table import codec_table
from coordinator.run_folder import RunFolder
from node_agent.messages import CodecSample
from partitioner.codec import CodecTable
from partitioner.errors import PlanError
from partitioner.graph import Graph
from partitioner.search.result import SearchResult

EVERYTHING = ("none", "float16", "int8", "zstd", "lz4")


def fleet_of(**codecs_of):
    return SimpleNamespace(
        nodes=[
            SimpleNamespace(name=name, description=SimpleNamespace(codecs=codecs)) for name, codecs in codecs_of.items()
        ]
    )


def test_all_is_what_every_node_has():
    fleet = fleet_of(pi=("none", "float16", "int8", "lz4"), tower=EVERYTHING)
    assert choose_codecs(fleet, ("all",)) == ("float16", "int8", "lz4")
    assert choose_codecs(fleet, ("lz4", "none", "lz4", "float16")) == ("lz4", "float16")
    assert choose_codecs(fleet, ("none",)) == ()


def test_a_codec_that_a_node_lacks_is_named_with_the_node_in_one_line():
    fleet = fleet_of(pi=("none", "float16"), old=(), tower=EVERYTHING)
    with pytest.raises(PlanError) as caught:
        choose_codecs(fleet, ("float16", "zstd"))
    message = str(caught.value)
    assert "'pi' lacks zstd (it has none, float16)" in message
    assert "'old' lacks float16, zstd" in message
    assert "tower" not in message
    assert "splitfront[compression]" in message
    assert "\n" not in message


def test_rates_are_those_that_made_the_samples():
    rng = np.random.default_rng(3)
    samples = [
        CodecSample(
            codec="zstd",
            n_bytes=size,
            wire_bytes=size // 2,
            encode_seconds=(40e-6 + size / 80e6) * rng.uniform(0.97, 1.03),
            decode_seconds=(10e-6 + size / 400e6) * rng.uniform(0.97, 1.03),
        )
        for size in (4096, 32768, 262144, 2097152)
        for _ in range(9)
    ]
    rate = fit_rate("pi", "zstd", [*samples, samples[0]])
    assert rate.encode_fixed_seconds == pytest.approx(40e-6, rel=0.1)
    assert rate.encode_bytes_per_second == pytest.approx(80e6, rel=0.05)
    assert rate.decode_fixed_seconds == pytest.approx(10e-6, rel=0.1)
    assert rate.decode_seconds(1 << 20) == pytest.approx(10e-6 + (1 << 20) / 400e6, rel=0.05)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_lossless_round_trips_give_every_bit_back(codec):
    values = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)
    values[0, :3] = np.nan, -0.0, np.inf
    obtained, n_bytes = round_trip_of(codec)(values)
    assert obtained.tobytes() == values.tobytes()
    assert obtained.shape == values.shape
    assert 0 < n_bytes <= values.nbytes + 16


@pytest.fixture(scope="module")
def profiled(toy_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    options = ["--local", "1", "--out", str(folder), "--profile-seconds", "1", "--codecs", "all"]
    assert run(["profile", str(toy_model), *options]) == 0
    return folder


def test_profile_writes_what_codecs_cost(profiled):
    folder = RunFolder(profiled)
    table, graph = folder.load("codecs", CodecTable), folder.load("graph", Graph)
    assert list(table.coding_of) == ["float16", "int8", "zstd", "lz4"]
    assert len(table.rates) == 4
    assert all(rate.encode_bytes_per_second > 1e6 and rate.decode_bytes_per_second > 1e6 for rate in table.rates)
    inner = range(1, graph.n_units)
    for name in ("zstd", "lz4"):
        assert set(table.coding_of[name].output_errors) == {0.0}
        assert all(table.coding_of[name].wire_bytes[at] < graph.boundary_bytes(at) for at in inner)
    half, levels = table.coding_of["float16"], table.coding_of["int8"]
    assert list(half.wire_bytes) == [graph.boundary_bytes(at) // 2 for at in range(graph.n_units + 1)]
    assert all(1e-5 < half.output_errors[at] < 1e-3 for at in inner)
    assert all(1e-3 < levels.output_errors[at] < 5e-2 for at in inner)


def test_a_search_finds_plans_with_and_without_codecs_in_it(profiled):
    wish = ["--codecs", "all", "--objectives", "latency,error"]
    assert run(["search", "--run", str(profiled), *wish]) == 0
    result = RunFolder(profiled).load("front", SearchResult)
    assert result.objectives == ("latency_seconds", "output_error")
    assert any(candidate.cost.output_error == 0 for candidate in result.front)


def test_the_table_names_each_codec_and_device(profiled):
    folder = RunFolder(profiled)
    table, graph = folder.load("codecs", CodecTable), folder.load("graph", Graph)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(codec_table(table, graph))
    lines = [line.strip() for line in console.export_text().splitlines()]
    (row,) = [line for line in lines if line.startswith("float16")]
    assert "50 %" in row
    assert table.rates[0].device in row
    assert row.count("B/s") == 2


def test_an_unknown_codec_is_one_line_before_anything_starts(toy_model, tmp_path, capsys):
    arguments = [str(toy_model), "--local", "1", "--out", str(tmp_path / "run"), "--codecs", "float16,brotli"]
    for command in ("profile", "run"):
        assert run([command, *arguments]) != 0
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1
        assert "'brotli'" in said[0]
        assert "float16, int8, zstd, lz4, or all" in said[0]
    assert not (tmp_path / "run").exists()


def test_codecs_are_in_the_run_folder_with_its_model(profiled):
    found = json.loads((profiled / "codecs.json").read_text())
    assert found["schema"] == "splitfront/codecs/1"
    assert found["model_sha256"] == json.loads((profiled / "graph.json").read_text())["model_sha256"]
