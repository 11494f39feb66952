import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search_builders import cluster_of, random_cost_model

from partitioner.cluster import Cluster
from partitioner.codec import CodecTable
from partitioner.errors import ArtefactError
from partitioner.graph import Graph
from partitioner.plan import Plan, Stage
from partitioner.profile import Profile
from partitioner.search import search
from partitioner.search.result import SearchResult
from partitioner.search.robust.result import RobustResult
from partitioner.serialize import SCHEMAS, load_artefact, load_envelope, save_artefact

st.register_type_strategy(float, st.floats(allow_nan=False))
VALUES = (Graph, Profile, Plan, SearchResult, RobustResult, Cluster, CodecTable)
MODEL = random_cost_model(np.random.default_rng(0), 2, 4, has_limits=False)
PLAN = Plan(model_sha256="c" * 64, batch=2, stages=(Stage(device="pi-1", start=0, stop=3),), window=4)


@dataclass(frozen=True, kw_only=True)
class Weather:
    latency_seconds: float
    words: dict[str, str]
    plan: Plan
    intervals: tuple[tuple[float, float], ...] = ()


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_value_comes_back_equal(kind, data, tmp_path):
    value = data.draw(st.from_type(kind))
    seed = value.seed if isinstance(value, SearchResult | RobustResult) else 3
    path = tmp_path / f"{kind.__name__}.json"
    save_artefact(path, value, seed=seed)
    assert load_artefact(path, kind) == value
    json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_real_search_result_comes_back(tmp_path):
    result = search(MODEL, seed=5)
    save_artefact(tmp_path / "front.json", result, seed=5)
    assert load_artefact(tmp_path / "front.json", SearchResult) == result


def test_costs_of_before_busy_times_were_told_apart_are_read(tmp_path):
    plain = random_cost_model(np.random.default_rng(1), 2, 4, has_limits=False)
    old_profiles = tuple(replace(device, trials=()) for device in plain.profile.devices)
    old_links = tuple(replace(link, busy_bytes_per_second=0.0) for link in plain.cluster.links)
    model = replace(
        plain,
        profile=replace(plain.profile, devices=old_profiles),
        cluster=replace(plain.cluster, links=old_links),
    )
    result, path = search(model, seed=5), tmp_path / "front.json"
    save_artefact(path, result, seed=5)
    content = json.loads(path.read_text(encoding="utf-8"))
    for candidate in (*content["front"], *content["dominated"]):
        for stage in candidate["cost"]["stages"]:
            del stage["busy_seconds"], stage["compute_seconds"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert load_artefact(path, SearchResult) == result
    for value, key in ((model.profile, "trials"), (model.cluster, "busy_bytes_per_second")):
        save_artefact(path, value, seed=0)
        content = json.loads(path.read_text(encoding="utf-8"))
        for part in (*content.get("links", ()), *(content["devices"] if key == "trials" else ())):
            del part[key]
        path.write_text(json.dumps(content), encoding="utf-8")
        assert load_artefact(path, type(value)) == value


def test_the_envelope_lies_beside_the_fields(tmp_path):
    path = tmp_path / "run" / "plan.json"
    save_artefact(path, PLAN, seed=7, now=lambda: datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["schema"] == "splitfront/plan/1"
    assert content["model_sha256"] == "c" * 64
    assert content["seed"] == 7
    assert content["created"] == "2030-01-02T03:04:05+00:00"
    assert {"python", "numpy", "pymoo"} <= set(content["versions"])
    assert content["window"] == 4
    assert content["stages"] == [{"device": "pi-1", "start": 0, "stop": 3, "replicas": [], "codec": "none"}]
    envelope = load_envelope(path)
    assert (envelope.schema, envelope.seed, envelope.created.year) == ("splitfront/plan/1", 7, 2030)


def test_types_of_other_packages_name_their_schema(tmp_path):
    path = tmp_path / "weather.json"
    value = Weather(latency_seconds=0.1, words={"a": "Infinity"}, plan=PLAN, intervals=((0.0, math.inf),))
    save_artefact(path, value, seed=0, schema="weather")
    assert json.loads(path.read_text(encoding="utf-8"))["latency_seconds"] == 0.1
    assert load_artefact(path, Weather, schema="weather") == value
    assert load_envelope(path).model_sha256 == PLAN.model_sha256
    with pytest.raises(ArtefactError, match="Weather has no schema"):
        save_artefact(path, value, seed=0)


def test_a_cluster_belongs_to_no_model_unless_told(tmp_path):
    cluster = cluster_of({"a": 1})
    save_artefact(tmp_path / "cluster.json", cluster, seed=0)
    assert load_envelope(tmp_path / "cluster.json").model_sha256 is None
    save_artefact(tmp_path / "cluster.json", cluster, seed=0, model_sha256="d" * 64)
    assert load_envelope(tmp_path / "cluster.json").model_sha256 == "d" * 64


def test_infinity_and_nan_survive(tmp_path):
    path = tmp_path / "weather.json"
    value = Weather(latency_seconds=math.nan, words={}, plan=PLAN, intervals=((-math.inf, math.inf),))
    save_artefact(path, value, seed=0, schema="weather")
    again = load_artefact(path, Weather, schema="weather")
    assert math.isnan(again.latency_seconds)
    assert again.intervals == value.intervals


def test_another_seed_or_model_than_the_value_has_is_refused(tmp_path):
    result = search(MODEL, seed=5)
    with pytest.raises(ArtefactError, match="own seed differ"):
        save_artefact(tmp_path / "front.json", result, seed=6)
    with pytest.raises(ArtefactError, match="own model_sha256 differ"):
        save_artefact(tmp_path / "plan.json", PLAN, seed=6, model_sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_field_named_like_the_envelope_is_refused(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Clash:
        schema: str
        created: str

    with pytest.raises(ArtefactError, match="schema, created differ"):
        save_artefact(tmp_path / "clash.json", Clash(schema="x", created="y"), seed=0, schema="clash")


def test_saving_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "plan.json"
    save_artefact(path, PLAN, seed=0)
    save_artefact(path, replace(PLAN, window=9), seed=0)
    assert load_artefact(path, Plan).window == 9
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]


def test_a_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "plan.json"
    save_artefact(path, PLAN, seed=0)
    unwritable = replace(PLAN, stages=(Stage(device="\ud800", start=0, stop=1),))
    with pytest.raises(ArtefactError, match="cannot be written"):
        save_artefact(path, unwritable, seed=0)
    assert load_artefact(path, Plan) == PLAN
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]
    with pytest.raises(ArtefactError, match="cannot be written"):
        save_artefact(path / "below" / "plan.json", PLAN, seed=0)


def faulty(tmp_path, change):
    path = tmp_path / "plan.json"
    save_artefact(path, PLAN, seed=0)
    text = path.read_text(encoding="utf-8")
    changed = change(text) if not isinstance(change, dict) else json.dumps(json.loads(text) | change)
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(ArtefactError) as caught:
        load_artefact(path, Plan)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda text: text[: len(text) // 2], "no JSON, or cut short"),
        (lambda text: "", "no JSON, or cut short"),
        (lambda text: text.replace('"window": 4', '"window": NaN'), "NaN is no JSON number"),
        (lambda text: "[" * 100_000, "no JSON, or cut short"),
        (lambda text: "[1, 2]", "wanted a JSON object, got list"),
        ({"schema": "splitfront/graph/1"}, "wanted schema 'splitfront/plan/1', got 'splitfront/graph/1'"),
        ({"schema": None}, "got None"),
        ({"schema": "splitfront/plan/2"}, "install a newer one"),
        ({"schema": "splitfront/plan/0"}, "another kind of file"),
        ({"schema": "splitfront/plan/x"}, "another kind of file"),
        ({"created": "yesterday"}, "created: "),
        ({"seed": "x"}, "seed: "),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, part):
    assert part in faulty(tmp_path, change)


def test_all_faulty_fields_in_one_line(tmp_path):
    stages = [{"device": 5, "start": 0, "stop": 1}, {"device": "a", "start": 1.5}]
    message = faulty(tmp_path, {"stages": stages, "window": "many"})
    assert "5 faulty fields" in message or "4 faulty fields" in message
    for path in ("stages.0.device", "stages.1.start", "stages.1.stop", "window"):
        assert path in message


def test_many_faults_are_cut(tmp_path):
    message = faulty(tmp_path, {"stages": [{}] * 10})
    assert "30 faulty fields" in message
    assert "and 22 more" in message


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ArtefactError, match=r"none\.json: no such file"):
        load_artefact(tmp_path / "none.json", Plan)
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_artefact(tmp_path, Plan)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtefactError, match="no JSON"):
        load_artefact(tmp_path / "binary.json", Plan)


def test_the_types_tested_are_all_that_have_a_schema():
    assert set(SCHEMAS) == set(VALUES)
