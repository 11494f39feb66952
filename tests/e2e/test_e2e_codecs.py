"""`splitfront profile --codecs`, and a run in which they win."""

import json

import pytest
from e2e_commands import splitfront


def test_codecs_are_measured_and_shown(toy_model, tmp_path):
    folder = tmp_path / "run"
    said = splitfront(
        "profile", toy_model, "--local", 1, "--profile-seconds", 1, "--codecs", "int8,zstd", "--out", folder
    )
    assert said.returncode == 0, said.stderr
    assert "int8" in said.stdout
    written = json.loads((folder / "codecs.json").read_text())
    assert written["schema"] == "splitfront/codecs/1"
    assert [coding["codec"] for coding in written["codings"]] == ["int8", "zstd"]
    searched = splitfront("search", "--run", folder, "--codecs", "all")
    assert searched.returncode == 0, searched.stderr


@pytest.mark.slow
def test_without_the_option_none_are_measured(toy_model, tmp_path):
    folder = tmp_path / "run"
    said = splitfront("profile", toy_model, "--local", 1, "--profile-seconds", 1, "--out", folder)
    assert said.returncode == 0, said.stderr
    assert not (folder / "codecs.json").exists()


def test_a_codec_that_is_none_is_named(toy_model, tmp_path):
    said = splitfront(
        "profile", toy_model, "--local", 1, "--profile-seconds", 1, "--codecs", "gzip", "--out", tmp_path / "run"
    )
    assert said.returncode != 0
    assert "'gzip'" in said.stderr
    assert "float16, int8, zstd, lz4" in said.stderr
    assert "Traceback" not in said.stderr


SLOW_LINKS = """
name: slow
nodes:
  - {name: a, local: true, threads: 1, emulate: {slowdown: 40.0}}
  - {name: b, local: true, threads: 1, emulate: {slowdown: 40.0}}
links:
  default: {delay: 1ms, rate: 20mbit}
"""


@pytest.mark.slow
def test_over_slow_links_a_coded_plan_is_chosen_deployed_and_measured(toy_model, tmp_path):
    cluster, folder = tmp_path / "cluster.yaml", tmp_path / "run"
    cluster.write_text(SLOW_LINKS)
    budgets = ("--profile-seconds", 1, "--correct-seconds", 5, "--bench-seconds", 0.5)
    wishes = ("--codecs", "int8", "--within", "error<=5%", "--choose", "throughput")
    said = splitfront("run", toy_model, "--cluster", cluster, *wishes, *budgets, "--out", folder)
    assert said.returncode == 0, said.stderr
    found = json.loads((folder / "measurement.json").read_text())
    coded = [plan for plan in (found, *found["front"]) if any(stage["codec"] == "int8" for stage in plan["stages"])]
    assert coded
    for plan in coded:
        assert 0 < plan["output_error"] <= 2 * plan["predicted"]["output_error"] + 1e-4
        for stage in plan["stages"]:
            assert 0 <= stage["sent_bytes"] - stage["predicted_sent_bytes"] < 1000
    assert "int8" in (folder / "report.html").read_text()
