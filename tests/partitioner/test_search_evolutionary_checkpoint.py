import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_cost_model, random_problem, smooth_problem

from partitioner.errors import ArtefactError
from partitioner.search import search
from partitioner.search.encoding import evaluate, join_plans
from partitioner.search.evolutionary.archive import empty_archive
from partitioner.search.evolutionary.breeding import PermutationAndCuts
from partitioner.search.evolutionary.checkpoint import load_checkpoint, problem_sha256, save_checkpoint
from partitioner.search.evolutionary.front import (
    RandomKeys,
    RankAndCrowding,
    ReferenceDirections,
    nsga2_front,
    nsga2_random_key_front,
    nsga3_front,
)
from partitioner.search.evolutionary.generations import Method, first_state, next_state
from partitioner.search.evolutionary.running import CHECKPOINT_SECONDS
from partitioner.search.outcome import Effort
from partitioner.search.registry import HEURISTICS
from partitioner.search.sampling import random_plans

ENGINES = [nsga2_front, nsga3_front, nsga2_random_key_front]
METHODS = [
    Method(engine="nsga2", selection=RankAndCrowding(), breeding=PermutationAndCuts(), population=30),
    Method(engine="nsga3", selection=ReferenceDirections(), breeding=PermutationAndCuts(), population=30),
    Method(engine="nsga2_random_key", selection=RankAndCrowding(), breeding=RandomKeys(), population=30),
]
PROBLEM = smooth_problem(np.random.default_rng(3), 4, 30)


class Killed(Exception):  # noqa: N818  it is no error of the code
    pass


def killed_after(n_generations):
    """A listener that ends a run from outside."""
    told = []

    def listen(*words):
        told.append(words)
        if len(told) > n_generations:
            raise Killed

    return listen


def are_same(one, other):
    return (
        np.array_equal(one.plans.rows(), other.plans.rows())
        and one.n_evaluated == other.n_evaluated
        and one.statement == other.statement
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n_generations", [0, 1, 4])
def test_a_killed_run_goes_on_to_the_same_end(tmp_path, engine, n_generations):
    whole = engine(PROBLEM, Effort(seed=7, n_evaluations=2500), population=30)
    path = tmp_path / "runs" / "state.npz"
    effort = Effort(seed=7, n_evaluations=2500, checkpoint=path, on_progress=killed_after(n_generations))
    with pytest.raises(Killed):
        engine(PROBLEM, effort, population=30)
    with np.load(path, allow_pickle=False) as file:
        assert json.loads(file["header"].tobytes())["n_generations"] == n_generations
    resumed = engine(PROBLEM, Effort(seed=7, n_evaluations=2500, checkpoint=path), population=30)
    assert are_same(resumed, whole)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_ended_run_can_be_given_more(tmp_path, engine):
    path = tmp_path / "state.npz"
    for n_evaluations in (500, 900, 1800):
        part = engine(PROBLEM, Effort(seed=2, n_evaluations=n_evaluations, checkpoint=path), population=30)
    assert are_same(part, engine(PROBLEM, Effort(seed=2, n_evaluations=1800), population=30))
    assert are_same(part, engine(PROBLEM, Effort(seed=2, n_evaluations=1800, checkpoint=path), population=30))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.engine)
def test_a_state_survives_to_the_last_bit(tmp_path, method):
    state, path = first_state(PROBLEM, method, 5), tmp_path / "state.npz"
    for _ in range(4):
        state = next_state(PROBLEM, method, state)
        save_checkpoint(path, PROBLEM, method, 5, state)
        loaded = load_checkpoint(path, PROBLEM, method, 5)
        for name in ("genes", "objectives", "violations"):
            assert np.array_equal(getattr(loaded.population, name), getattr(state.population, name))
        assert loaded.population.genes.dtype == state.population.genes.dtype
        assert np.array_equal(loaded.standing, state.standing)
        assert np.array_equal(loaded.memory, state.memory)
        assert np.array_equal(loaded.archive.plans.rows(), state.archive.plans.rows())
        assert np.array_equal(loaded.archive.objectives, state.archive.objectives)
        assert np.array_equal(loaded.archive.is_explored, state.archive.is_explored)
        assert loaded.random_state == state.random_state
        assert (loaded.n_generations, loaded.n_evaluated, loaded.n_idle) == (
            state.n_generations,
            state.n_evaluated,
            state.n_idle,
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.npz"]


def test_checkpoints_are_written_every_few_seconds(tmp_path):
    path, written = tmp_path / "state.npz", []
    now = [0.0]

    def listen(*_):
        written.append(path.stat().st_mtime_ns if path.exists() else None)
        now[0] += 0.6 * CHECKPOINT_SECONDS

    nsga2_front(
        PROBLEM,
        Effort(n_evaluations=4000, checkpoint=path, on_progress=listen, clock=lambda: now[0]),
        population=30,
    )
    assert written[:2] == [None, None]
    assert written[2] is not None
    assert written[3] == written[2] != written[4]


@pytest.mark.parametrize("name", sorted(HEURISTICS))
def test_a_search_resumes_by_its_path(tmp_path, name):
    model = random_cost_model(np.random.default_rng(3), 4, 12, has_limits=False)
    path = tmp_path / "state.npz"
    search(model, name, n_evaluations=300, seed=1, checkpoint=path)
    resumed = search(model, name, n_evaluations=1200, seed=1, checkpoint=path)
    whole = search(model, name, n_evaluations=1200, seed=1)
    assert resumed.front == whole.front
    assert resumed.n_evaluated == whole.n_evaluated
    assert resumed.certificate == whole.certificate


def written(tmp_path, method=METHODS[0], seed=5):
    path = tmp_path / "state.npz"
    state = next_state(PROBLEM, method, first_state(PROBLEM, method, seed))
    save_checkpoint(path, PROBLEM, method, seed, state)
    return path


def rewrite(path, **changes):
    """The file with other arrays, or header fields where a change is no array; None takes one away."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes())
    for name, change in changes.items():
        target = arrays if name in arrays else header
        if change is None:
            del target[name]
        else:
            target[name] = change(target[name]) if callable(change) else change
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genes": None}, "array 'genes' is missing"),
        ({"genes": lambda a: a.astype(float)}, "the population holds no plans"),
        ({"genes": lambda a: a[:, :-1]}, "the population holds no plans"),
        ({"genes": lambda a: a + 100}, "the population holds no plans"),
        ({"genes": lambda a: a[0]}, r"array 'genes' is int64 of shape \(8,\)"),
        ({"standing": lambda a: a[:-1]}, "30 plans of the population have 29 standings"),
        ({"archive": lambda a: a - 2}, "the archive holds no plans"),
        ({"archive": lambda a: np.concatenate([a, a[:, ::-1]])}, "the archive holds no plans"),
        ({"is_explored": lambda a: a[:-1]}, "the archive holds no plans"),
        ({"is_explored": lambda a: a.astype(int)}, "array 'is_explored' is int64"),
        ({"memory": lambda a: a.astype(int)}, "array 'memory' is int64"),
        ({"n_evaluated": -1}, "n_evaluated is -1, wanted a count"),
        ({"n_idle": None}, "n_idle is None, wanted a count"),
        ({"n_generations": "many"}, "n_generations is 'many', wanted a count"),
        ({"random_state": None}, "its random state is none"),
        ({"random_state": {"bit_generator": "MT19937"}}, "its random state is none"),
        ({"random_state": "x"}, "its random state is none"),
    ],
)
def test_damaged_content_is_named(tmp_path, changes, message):
    path = written(tmp_path)
    rewrite(path, **changes)
    with pytest.raises(ArtefactError, match=f"state.npz: the checkpoint is damaged: .*{message}.*Delete it"):
        load_checkpoint(path, PROBLEM, METHODS[0], 5)


def test_a_dominated_archive_is_damaged(tmp_path):
    path = written(tmp_path)
    rows = random_plans(PROBLEM, 40, np.random.default_rng(0)).rows()
    rewrite(path, archive=rows, is_explored=np.zeros(40, dtype=bool))
    with pytest.raises(ArtefactError, match="the archive holds forbidden or dominated plans"):
        load_checkpoint(path, PROBLEM, METHODS[0], 5)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    path = written(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    for other in (b"", b"hello", content[:middle], content[:-30], flipped, np.arange(5).tobytes()):
        path.write_bytes(other)
        with pytest.raises(ArtefactError, match=r"state.npz: .*damaged"):
            load_checkpoint(path, PROBLEM, METHODS[0], 5)
    np.save(tmp_path / "state.npy", np.arange(5))
    with pytest.raises(ArtefactError, match="damaged"):
        load_checkpoint(tmp_path / "state.npy", PROBLEM, METHODS[0], 5)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header.npy", "nothing")
    with pytest.raises(ArtefactError, match="damaged"):
        load_checkpoint(path, PROBLEM, METHODS[0], 5)
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_checkpoint(tmp_path, PROBLEM, METHODS[0], 5)


def test_objects_are_not_loaded(tmp_path):
    path = written(tmp_path)
    rewrite(path, genes=np.array([[{}]], dtype=object))
    with pytest.raises(ArtefactError, match="damaged"):
        load_checkpoint(path, PROBLEM, METHODS[0], 5)


def test_headers_that_are_no_objects_are_damaged(tmp_path):
    path = tmp_path / "state.npz"
    np.savez(path, header=np.frombuffer(b"[1]", dtype=np.uint8))
    with pytest.raises(ArtefactError, match="its header is list, wanted an object"):
        load_checkpoint(path, PROBLEM, METHODS[0], 5)


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    path = written(tmp_path)
    other = smooth_problem(np.random.default_rng(4), 4, 30)
    with pytest.raises(ArtefactError, match=r"belongs to another search: problem_sha256 .* Repeat that search"):
        load_checkpoint(path, other, METHODS[0], 5)
    with pytest.raises(ArtefactError, match="engine 'nsga2', wanted 'nsga3'"):
        load_checkpoint(path, PROBLEM, METHODS[1], 5)
    with pytest.raises(ArtefactError, match="seed 5, wanted 6"):
        nsga2_front(PROBLEM, Effort(seed=6, checkpoint=path), population=30)
    with pytest.raises(ArtefactError, match="population 30, wanted 100"):
        nsga2_front(PROBLEM, Effort(seed=5, checkpoint=path))


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtefactError, match=r"cannot be written: .*Choose another place"):
        nsga2_front(PROBLEM, Effort(checkpoint=tmp_path / "file" / "state.npz", n_evaluations=10), population=30)


def test_every_part_of_a_problem_is_in_its_digest():
    problem = random_problem(np.random.default_rng(1), 3, 6)
    digests = {problem_sha256(problem)}
    changes = {
        name: getattr(problem, name) * 2.0
        for name in ("stage_seconds", "stage_memory_bytes", "device_memory_bytes", "boundary_bytes")
    }
    changes |= {name: getattr(problem, name) + 1.0 for name in ("link_fixed_seconds", "link_bytes_per_second")}
    changes |= {"is_position_allowed": np.arange(7) % 3 == 0, "max_stages": 2, "pinned_first": 2, "pinned_last": 1}
    changes |= {"device_names": ("a", "b", "c"), "objectives": ("bottleneck_seconds", "latency_seconds")}
    changes |= {"stage_busy_seconds": np.ones((3, 7, 7)), "link_busy_bytes_per_second": np.ones((4, 4))}
    changes |= {"bounds": {"latency_seconds": 3.0}, "device_watts": np.ones(3), "boundary_errors": np.zeros(7)}
    changes |= {"gate_positions": np.arange(7), "gate_codecs": ("none",) * 7, "crews": ((0,), (1,), (0, 1))}
    changes |= {"link_media": np.ones((1, 4, 4), dtype=np.bool_), "processor_weights": np.ones((1, 3))}
    assert set(changes) == problem.__dataclass_fields__.keys() - {"cost_model"}
    for name, value in changes.items():
        fields = {field: getattr(problem, field) for field in problem.__dataclass_fields__}
        digests.add(problem_sha256(type(problem)(**fields | {name: value})))
    assert len(digests) == 1 + len(changes)


def test_a_checkpoint_does_not_go_on_under_other_bounds_or_objectives(tmp_path):
    path = tmp_path / "state.npz"
    nsga2_front(PROBLEM, Effort(checkpoint=path, n_evaluations=60), population=30)
    others = {"bounds": {"latency_seconds": 1e9}}, {"objectives": ("latency_seconds", "wire_bytes")}
    for changes in others:
        with pytest.raises(ArtefactError, match="belongs to another search: problem_sha256"):
            nsga2_front(replace(PROBLEM, **changes), Effort(checkpoint=path, n_evaluations=60), population=30)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_an_archive_is_what_filtering_everything_at_once_leaves(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 6, is_coarse=bool(seed % 2))
    archive, parts = empty_archive(problem), []
    for _ in range(4):
        parts.append(random_plans(problem, int(random.integers(0, 15)), random))
        archive = archive.add(parts[-1], evaluate(problem, parts[-1]))
    objectives = evaluate(problem, join_plans(*parts))
    kept = {
        tuple(point)
        for point in objectives.tolist()
        if np.isfinite(point).all()
        and not any(other != point and np.all(np.array(other) <= point) for other in objectives.tolist())
    }
    assert archive.objectives.tolist() == [list(point) for point in sorted(kept)]
    assert np.array_equal(evaluate(problem, archive.plans), archive.objectives)


def test_an_archive_remembers_what_was_explored():
    problem = smooth_problem(np.random.default_rng(0), 4, 20)
    plans = random_plans(problem, 100, np.random.default_rng(0))
    archive = empty_archive(problem).add(plans, evaluate(problem, plans))
    archive = archive.explore(np.arange(len(archive)))
    again = archive.add(plans, evaluate(problem, plans))
    assert again.is_explored.all()
    assert np.array_equal(again.plans.rows(), archive.plans.rows())
    better = archive.add(archive.plans, archive.objectives * np.array([0.5, 1.0]))
    assert not better.is_explored.any()
