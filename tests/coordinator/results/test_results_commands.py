"""`splitfront results`, `bundle` and `replay` as a user calls them."""

import hashlib
import json

import pytest
from result_builders import bits, sample_run, sample_sweep

from coordinator.__main__ import run
from coordinator.results.store import open_store


@pytest.fixture
def paper(tmp_path):
    """The folder of a sweep that is half done."""
    folder, sweep = tmp_path / "paper", sample_sweep()
    with open_store(str(folder / "results.sqlite")) as store:
        store.add_sweep(sweep)
        store.record(sample_run(sweep, state="invalid"))
        store.record(sample_run(sweep, attempt=1))
        store.record(sample_run(sweep, repeat=1, figures={"latency_seconds": 0.0301}))
    return folder


@pytest.fixture
def splitfront(capsys):
    """Runs a command line; (exit status, standard output, standard error)."""

    def call(*words):
        status = run([*map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def test_list_says_how_far_each_sweep_has_come(splitfront, paper):
    status, out, _ = splitfront("results", "list", paper)
    assert status == 0
    assert out.split()[-7:] == ["paper", "2026-01-02T03:04", "3", "6", "2", "1", "0"]
    (one,) = json.loads(splitfront("results", "list", paper, "--json")[1])
    assert (one["name"], one["cases"], one["n_planned"], one["n_done"], one["seed"]) == ("paper", 3, 6, 2, 7)


def test_list_of_an_empty_store_says_so(splitfront, tmp_path):
    open_store(str(tmp_path / "results.sqlite")).close()
    assert "holds no sweep yet" in splitfront("results", "list", tmp_path)[1]
    assert splitfront("results", "list", tmp_path, "--json")[1] == "[]\n"


def test_show_has_a_line_for_each_case(splitfront, paper):
    status, out, _ = splitfront("results", "show", paper)
    assert status == 0
    assert "2 of 6 runs done" in out
    assert "split 1" in out
    assert "182 ms" in out, "the median of 1/3 s and 30.1 ms"
    assert "condition wifi-poor" in " ".join(out.split()), "what all cases share stands below"


def test_show_as_json_is_json_whatever_the_figures(splitfront, paper):
    out = splitfront("results", "show", paper, "paper", "--json")[1]
    shown = json.loads(out, parse_constant=pytest.fail)
    assert [one["state"] for one in shown["runs"]] == ["invalid", "done", "done"]
    assert shown["runs"][1]["figures"]["throughput_per_second"] == "Infinity"
    assert shown["cases"][0]["n_done"] == 2
    assert shown["cases"][0]["last_reason"] == ""


def test_show_asks_which_sweep_where_there_are_several(splitfront, paper):
    with open_store(str(paper)) as store:
        store.add_sweep(sample_sweep("other"))
    status, _, err = splitfront("results", "show", paper)
    assert status == 2
    assert "It holds other, paper." in err.replace("paper, other", "other, paper")
    status, _, err = splitfront("results", "show", paper, "papre")
    assert (status, err.count("\n")) == (1, 1)
    assert "no sweep 'papre'" in err


@pytest.mark.parametrize("option", ["--csv", "--parquet", "--json"])
def test_an_export_is_imported_elsewhere(splitfront, paper, tmp_path, option):
    status, out, _ = splitfront("results", "export", paper, option, tmp_path / "exported")
    assert (status, out) == (0, f"Wrote {tmp_path / 'exported'}\n")
    target = tmp_path / "all" / "results.sqlite"
    status, out, _ = splitfront("results", "import", target, tmp_path / "exported")
    assert (status, out) == (0, "Took paper in: 3 new runs, 0 were there already.\n")
    out = splitfront("results", "import", target, tmp_path / "exported", "--json")[1]
    assert json.loads(out) == {"sweeps": ["paper"], "n_new_runs": 0, "n_known_runs": 3}
    with open_store(str(paper)) as first, open_store(str(target)) as second:
        assert bits(second.runs("paper", with_samples=True)) == bits(first.runs("paper", with_samples=True))


def test_an_export_to_nothing_and_a_store_that_is_not_there_are_told(splitfront, paper, tmp_path):
    assert splitfront("results", "export", paper)[0] == 2
    for words in (
        ("results", "list", tmp_path / "no"),
        ("results", "export", tmp_path / "no", "--csv", tmp_path / "x"),
    ):
        status, _, err = splitfront(*words)
        assert (status, err.count("\n")) == (1, 1)
        assert "There is no result store" in err
    assert not (tmp_path / "no").exists()


def test_a_sweep_is_bundled_beside_its_folder(splitfront, paper, tmp_path):
    status, out, _ = splitfront("bundle", paper)
    assert status == 0
    digest = hashlib.sha256((tmp_path / "paper.zip").read_bytes()).hexdigest()
    assert f"sha256 {digest}" in out
    facts = json.loads(splitfront("bundle", paper, "--out", tmp_path / "b.zip", "--json")[1])
    assert (facts["sha256"], facts["kind"]) == (digest, "sweep")


def test_a_bundle_that_is_none_is_told(splitfront, tmp_path):
    (tmp_path / "a.zip").write_text("hello")
    for words in (("replay", tmp_path / "a.zip", "--out", tmp_path / "out"), ("bundle", tmp_path)):
        status, _, err = splitfront(*words)
        assert status == 1
        assert err.splitlines()[-1].startswith("splitfront: error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [("results",), *(("results", name) for name in ("list", "show", "export", "import"))])
def test_help_has_examples(splitfront, words):
    status, out, _ = splitfront(*words, "--help")
    assert status == 0
    assert "Examples:\n" in out
