"""`sweep.yaml`."""

import json
from pathlib import Path

import pytest

from coordinator.config import example_text
from coordinator.config.sweep import quick
from coordinator.config.sweep_file import SweepFile, load_sweep, sweep_json_schema
from coordinator.errors import ConfigError
from coordinator.sweep.applying import NOTHING, change_of
from coordinator.sweep.network_profiles import PROFILES
from partitioner.search.robust.network import LinkCondition

GOOD = """
name: mine
models: [resnet18, {source: resnet50, name: large}]
clusters:
  - local: 2
    subsets: [[local-2, local-1], [local-1]]
conditions:
  - as-is
  - paper-degraded
  - name: radio
    profile: wifi-good
    default: {loss: 1%}
    between: [{from: local-1, to: local-2, both: false, delay: 20ms}]
plans: [block-level, random: 3, splits: [4, [2, 6]], spread: 2]
""".replace("[4, [2, 6]]", "[4, 6]")

BAD = """
name: bad sweep
seed: -1
modles: [x]
models: [mobilenet_v2, mobilenet_v2]
clusters:
  - local: 2
    subsets: [[local-1, local-3], [local-1, local-1], []]
  - {local: 2, file: nowhere.yaml}
  - nowhere.yaml
  - cluster: {name: x, nodes: [{name: a}]}
conditions:
  - lte
  - wify-good
  - name: lte
  - name: mine
    default: {rate: 10}
    between: [{from: local-1, to: nobody, delay: 3ms}]
batches: [1, 1, 0]
codecs: [gzip]
plans:
  - blocks
  - {spread: 3, random: 2}
  - splits: [[5, 3], [1, 2, 3], 0]
  - {}
repeats: {least: 5, most: 3, interval: 200%, budget: 3}
effort: {second: 3s}
scenarios: []
"""

FAULTS = {
    "name (line 2)": "'bad sweep' is not a name",
    "seed (line 3)": "greater than or equal to 0",
    "modles (line 4)": "did you mean 'models'?",
    "models[1] (line 5)": "already that of models[0]",
    "clusters[0].subsets[0][1] (line 8)": "did you mean 'local-2'?",
    "clusters[0].subsets[1][1] (line 8)": "already that of",
    "clusters[0].subsets[2] (line 8)": "is an empty list",
    "clusters[1] (line 9)": "got file and local",
    "clusters[1].file (line 9)": "no readable file",
    "clusters[2].file (line 10)": "no readable file",
    "clusters[3].cluster.nodes[0] (line 11)": "says nowhere where it is",
    "conditions[1].profile (line 14)": "did you mean 'wifi-good'?",
    "conditions[2] (line 15)": "changes nothing",
    "conditions[3].default.rate (line 17)": "10 is not a rate with its unit",
    "conditions[3].between[0].to (line 18)": "there is no node 'nobody'",
    "batches[1] (line 19)": "already that of",
    "batches[2] (line 19)": "greater than or equal to 1, got 0",
    "codecs[0] (line 20)": "should be 'none'",
    "plans[0].every (line 22)": "should be 'block-level'",
    "plans[1] (line 23)": "got spread and random",
    "plans[2].splits[0] (line 24)": "does not rise",
    "plans[2].splits[1] (line 24)": "makes 4 stages",
    "plans[2].splits[2][0] (line 24)": "greater than or equal to 1",
    "plans[3] (line 25)": "got none",
    "repeats (line 26)": "least, 5, is more than most, 3",
    "repeats.interval (line 26)": "out of range for a share",
    "repeats.budget (line 26)": "write 90s or 30min",
    "effort.second (line 27)": "did you mean 'seconds'?",
    "scenarios (line 28)": "at least one entry",
}


def load(text: str, folder: Path) -> SweepFile:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return load_sweep(path)


def test_a_word_stands_for_its_section(tmp_path: Path) -> None:
    file = load(GOOD, tmp_path)
    assert [model.label for model in file.config.models] == ["resnet18", "large"]
    assert file.clusters[0].subsets == (("local-2", "local-1"), ("local-1",))
    assert file.config.plans[0].every == "block-level"
    assert file.config.plans[2].splits == ((4,), (6,))


def test_conditions_stand_on_their_profile(tmp_path: Path) -> None:
    file = load(GOOD, tmp_path)
    as_is, degraded, radio = file.conditions(file.clusters[0].config)
    assert (as_is.every_link, as_is.links) == (LinkCondition(), {})
    assert degraded.every_link == LinkCondition(delay_seconds=0.2, bytes_per_second=5e6 / 8)
    wifi = PROFILES["wifi-good"].link
    assert radio.every_link == LinkCondition(loss=pytest.approx(0.01)).over(wifi)
    assert radio.links == {("local-1", "local-2"): LinkCondition(delay_seconds=0.02)}


def test_every_fault_is_told_at_once_with_path_and_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(BAD, tmp_path)
    told = caught.value.faults
    for where, what in FAULTS.items():
        assert any(fault.startswith(f"{where}: ") and what in fault for fault in told), (where, what, told)
    assert {fault.partition(": ")[0] for fault in told} == set(FAULTS)


@pytest.mark.parametrize(
    "models",
    [
        "[a/net.onnx, b/net.onnx]",
        "[net, a/net.onnx]",
        "[{source: large, name: net}, nets:net]",
        "[{source: small, name: net}, {source: large, name: net}]",
    ],
)
def test_models_of_one_name_in_results_are_refused(models: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'net' is already that of models\[0\]: give it a name of its own"):
        load(GOOD.replace("[resnet18, {source: resnet50, name: large}]", models), tmp_path)


@pytest.mark.parametrize("subsets", ["2", "yes", "0.5", "2026-02-03", "x", "{a: 1}", "[2]"])
def test_subsets_that_are_no_lists_are_faults(subsets: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"clusters\[0\].subsets.* \(line 6\): wanted a list"):
        load(GOOD.replace("[[local-2, local-1], [local-1]]", subsets), tmp_path)


def test_faults_of_a_cluster_file_are_told_with_its_entry(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("name: c\nnodes: [{name: a, lokal: true}]\n")
    text = "name: s\nmodels: [resnet18]\nclusters: [cluster.yaml]\nconditions: [as-is]\nplans: [all]\n"
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert any(fault.startswith("clusters[0] (line 3): its file: nodes[0]") for fault in caught.value.faults)


def test_an_inline_clusters_fault_stands_at_its_line(tmp_path: Path) -> None:
    text = """
name: s
models: [resnet18]
clusters:
  - cluster:
      name: c
      nodes:
        - {name: a, local: true}
        - {name: a, local: true}
conditions: [as-is]
plans: [all]
"""
    with pytest.raises(ConfigError) as caught:
        load(text, tmp_path)
    assert caught.value.faults == (
        "clusters[0].cluster.nodes[1].name (line 9): 'a' is already that of nodes[0]: choose another",
    )


def test_the_spec_is_json_with_the_clusters_in_it(tmp_path: Path) -> None:
    spec = json.loads(json.dumps(load(GOOD, tmp_path).spec))
    assert spec["clusters"][0]["cluster"]["nodes"][0]["name"] == "local-1"
    assert spec["repeats"]["least"] == 3


def test_the_example_is_right_and_names_every_profile(tmp_path: Path) -> None:
    text = example_text("sweep.yaml")
    file = load(text, tmp_path)
    assert [condition.name for condition in file.config.conditions] == ["gigabit-lan", "wifi-good", "weak-radio"]
    assert all(name in text for name in PROFILES)


@pytest.mark.parametrize("name", ["paper", "short"])
def test_the_papers_files_have_the_inputs_on_the_first_pi(name: str) -> None:
    file = load_sweep(Path(__file__).parents[3] / "benchmarks" / "paper" / f"{name}.yaml")
    for choice in file.clusters:
        nodes = [node.name for node in choice.config.nodes]
        for condition in file.conditions(choice.config):
            assert change_of(condition, ("client", nodes[0])) == change_of(condition, (nodes[0], "client")) == NOTHING
            assert change_of(condition, (nodes[0], nodes[1])) == PROFILES[condition.name].link
            assert change_of(condition, (nodes[1], "client")) == PROFILES[condition.name].link


def test_quick_keeps_all_cases_and_measures_each_once(tmp_path: Path) -> None:
    config = load(GOOD, tmp_path).config
    brief = quick(config)
    assert (brief.repeats.least, brief.repeats.most, brief.effort.least) == (1, 1, 2)
    assert brief.profile_seconds < config.profile_seconds
    same = ("name", "seed", "models", "clusters", "conditions", "plans", "batches", "codecs", "data_planes")
    assert all(getattr(brief, name) == getattr(config, name) for name in same)


def test_the_schema_knows_words_and_sections() -> None:
    schema = sweep_json_schema()
    words, section = schema["properties"]["plans"]["items"]["anyOf"]
    assert words == {"type": "string", "enum": ["block-level", "all", "front"]}
    assert "$ref" in section
    assert json.dumps(schema)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_possible_and_say_where_they_come_from(name: str) -> None:
    profile = PROFILES[name]
    assert 0 <= profile.link.delay_seconds < 1
    assert 1e4 < profile.link.bytes_per_second < 1e9
    assert len(profile.source) > 20
