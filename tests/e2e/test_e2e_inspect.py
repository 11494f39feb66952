import json

import numpy as np
import pytest
from e2e_commands import splitfront


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".html", b"<!doctype html>")])
def test_inspect_draws_what_the_suffix_says_beside_the_table(toy_model, tmp_path, suffix, start):
    path = tmp_path / "pictures" / f"toy{suffix}"
    done = splitfront("inspect", toy_model, "--dim", "batch=1", "--figure", path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(start)
    assert f"Drew {path}" in done.stdout.replace("\n", "")
    assert "MatMul" in done.stdout


def test_json_stays_clean_beside_a_picture(toy_model, tmp_path):
    done = splitfront("inspect", toy_model, "--json", "--figure", tmp_path / "toy.svg")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["units"]
    assert (tmp_path / "toy.svg").read_bytes().startswith(b"<?xml")


def test_a_picture_that_cannot_be_is_refused_before_the_model_is_read(tmp_path):
    done = splitfront("inspect", "mobilnet_v2", "--figure", tmp_path / "toy.gif")
    assert done.returncode == 2
    assert ".html, .png, .svg" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_picture_that_cannot_be_written_is_one_line(toy_model, tmp_path):
    (tmp_path / "file").write_text("")
    done = splitfront("inspect", toy_model, "--figure", tmp_path / "file" / "toy.svg")
    assert done.returncode == 1
    assert "toy.svg" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_inputs_from_a_file_give_the_sizes(toy_model, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.ones((3, 16, 256), np.float32))
    done = splitfront("inspect", toy_model, "--inputs", tmp_path / "in.npz", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["batch"] == 3


def test_inputs_that_do_not_fit_are_one_line(toy_model, tmp_path):
    np.savez(tmp_path / "in.npz", x=np.ones((3, 15, 256)), z=np.ones(3))
    done = splitfront("inspect", toy_model, "--inputs", tmp_path / "in.npz", "--batch", 2)
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    for words in ("'z' is no input", "'x' is float64", "float32", "is 15, the model wants 16", "has 3 samples"):
        assert words in line
    assert "Traceback" not in done.stderr
    done = splitfront("inspect", toy_model, "--inputs", tmp_path / "none.npz")
    assert done.returncode == 1
    assert "none.npz" in done.stderr.strip().splitlines()[-1]
