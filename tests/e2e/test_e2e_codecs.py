"""`splitfront profile --codecs`."""

import json

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
