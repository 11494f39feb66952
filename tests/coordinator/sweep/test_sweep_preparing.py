"""Studies that lie in a sweep's folder: taken up where they were made from the same, and nowhere else."""

from contextlib import contextmanager

import pytest
from prediction_builders import DIGEST, N_UNITS, chain_model

from coordinator.config.sweep_file import load_sweep
from coordinator.sweep.folder import SweepFolder
from coordinator.sweep.origin import links_origin, study_origin
from coordinator.sweep.preparing import Preparation
from partitioner.plan import Stage
from partitioner.serialize import save_artefact

SWEEP = """
name: first
models: [{source: net.onnx, name: chain}]
clusters:
  - cluster:
      name: three
      nodes: [{name: a, local: true}, {name: b, local: true}, {name: c, local: true}]
      links: {default: {delay: 2ms}}
conditions: [as-is]
plans: [block-level]
profile: 20s
"""


class NeededError(Exception):
    """The folder lacks something."""


class AbsentRig:
    """Has neither models nor nodes."""

    def model(self, *_):
        raise NeededError("a model")

    def fleet(self, *_):
        raise NeededError("nodes")


class Quiet:
    @contextmanager
    def progress(self, _title):
        yield lambda *_: None


@pytest.fixture
def prepare(tmp_path):
    """Studies of a sweep's text, from a folder where those of `SWEEP` lie."""
    (tmp_path / "net.onnx").write_bytes(b"a network")
    place, model = SweepFolder(tmp_path / "out"), chain_model()

    def sweep_of(text):
        (tmp_path / "sweep.yaml").write_text(text)
        return load_sweep(tmp_path / "sweep.yaml")

    def studies(text):
        return Preparation(file=sweep_of(text), folder=place, rig=AbsentRig(), progress=Quiet()).studies()

    file = sweep_of(SWEEP)
    config = file.clusters[0].config
    save_artefact(place.bare_cluster("three", "grpc", links_origin(config, "grpc")), model.cluster, seed=0)
    run = place.study("three", "chain", 1, study_origin(file.config, config, file.config.models[0]))
    run.make()
    run.save("graph", model.graph, seed=0, model_sha256=DIGEST)
    run.save("profile", model.profile, seed=0, model_sha256=DIGEST)
    return studies


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: first", "name: second"),
        ("[as-is]", "[as-is, lte]"),
        ("delay: 2ms", "delay: 3ms, rate: 10mbit"),
        ("[block-level]", "[all]"),
    ],
)
def test_what_was_made_from_the_same_is_taken_up_by_any_sweep(prepare, old, new):
    for text in (SWEEP, SWEEP.replace(old, new)):
        (study,) = prepare(text)
        assert study.graph.model_sha256 == DIGEST
        assert study.profile == chain_model().profile


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        ("{name: a, local: true}", "{name: a, local: true, emulate: {slowdown: 50}}", "nodes"),
        ("default: {delay: 2ms}", "between: [{from: a, to: b, forbidden: true}]", "nodes"),
        ("[as-is]", "[as-is]\ndata_planes: [grpc, tcp]", "nodes"),
        ("name: chain", "name: chain, seed: 3", "a model"),
        ("name: chain", "name: chain, dims: {height: 64}", "a model"),
        ("profile: 20s", "profile: 40s", "a model"),
        ("[as-is]", "[as-is]\ncodecs: [none, int8]", "a model"),
        ("[as-is]", "[as-is]\nseed: 4", "a model"),
    ],
)
def test_what_was_made_from_something_else_is_made_anew(prepare, old, new, needed):
    with pytest.raises(NeededError, match=needed):
        prepare(SWEEP.replace(old, new))


def test_a_model_file_is_known_by_its_content(prepare, tmp_path):
    (tmp_path / "elsewhere.onnx").write_bytes(b"a network")
    assert prepare(SWEEP.replace("net.onnx", "elsewhere.onnx"))
    (tmp_path / "net.onnx").write_bytes(b"another network")
    with pytest.raises(NeededError, match="a model"):
        prepare(SWEEP)


def test_plans_cost_what_they_do_with_the_window_of_the_file(prepare):
    stages = (Stage(device="a", start=0, stop=4), Stage(device="b", start=4, stop=N_UNITS))
    free, narrow = (
        study.cost_model("as-is", "grpc").candidate(stages)
        for text in (SWEEP, SWEEP + "window: 1\n")
        for study in prepare(text)
    )
    assert free.plan.window > narrow.plan.window == 1
    assert narrow.cost.throughput_per_second == pytest.approx(1 / narrow.cost.latency_seconds)
