"""A study of a made-up chain on three nodes, a store in memory, and runs as it would record them."""

from collections.abc import Iterator
from dataclasses import replace

from prediction_builders import DIGEST, N_UNITS, chain_model

from coordinator.config.document import parse_yaml
from coordinator.config.sweep_file import SweepFile, checked_sweep
from coordinator.errors import RunKnownError, SweepConflictError, SweepUnknownError
from coordinator.results.values import Case, Run, Sample, Sweep
from coordinator.sweep.applying import apply_to
from coordinator.sweep.study import Study, StudyKey
from partitioner.plan import Plan, Stage

SWEEP = """
name: made-up
models: [chain]
clusters:
  - cluster:
      name: three
      nodes:
        - {name: a, local: true}
        - {name: b, local: true}
        - {name: c, local: true}
    subsets: [[a, b], [c, b, a]]
conditions: [as-is, {name: slow, default: {delay: 30ms, rate: 8mbit}}]
plans: [block-level]
repeats: {least: 2, most: 4}
"""


def sweep_file(text: str = SWEEP, **changes: object) -> SweepFile:
    file = checked_sweep(parse_yaml(text), source="sweep.yaml")
    return replace(file, config=file.config.model_copy(update=changes))


def studies_of(file: SweepFile) -> tuple[Study, ...]:
    """One study for each model, batch and cluster, all of the same chain."""
    model = chain_model()
    choice = file.clusters[0]
    under = {
        (condition.name, plane): apply_to(choice.config, model.cluster, condition, plane=plane)
        for condition in file.conditions(choice.config)
        for plane in file.config.data_planes
    }
    return tuple(
        Study(
            key=StudyKey(model=each.label, batch=1, cluster=choice.config.name),
            subsets=choice.subsets,
            graph=model.graph,
            profile=model.profile,
            codecs=None,
            bare=dict.fromkeys(file.config.data_planes, model.cluster),
            under=under,
            window=file.config.window,
        )
        for each in file.config.models
    )


def case(number: int = 0) -> Case:
    stages = (
        Stage(device="a", start=0, stop=number + 1),
        Stage(device="b", start=number + 1, stop=N_UNITS),
    )
    return Case(
        model="chain",
        cluster="three",
        nodes=("a", "b"),
        condition="as-is",
        plan_label=f"split {number + 1}",
        plan=Plan(model_sha256=DIGEST, batch=1, stages=stages, window=2),
    )


def run_of(sweep: Sweep, position: int, *, attempt: int = 0, state: str = "done", **fields: object) -> Run:
    key, repeat = sweep.order[position]
    values = {
        "reason": "" if state == "done" else "for a test",
        "began_at": "2025-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "figures": {"latency_seconds": 1.0, "throughput_per_second": 2.0},
    }
    return Run(
        sweep=sweep.name,
        case_key=key,
        repeat=repeat,
        attempt=attempt,
        position=position,
        state=state,
        **values | fields,
    )


class MemoryStore:
    """A `ResultStore` that forgets with its process. Leases run by the moment that `clock` tells."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sweeps: dict[str, Sweep] = {}
        self._runs: dict[str, list[Run]] = {}
        self.claims: dict[tuple[str, str, int], tuple[str, float]] = {}

    def add_sweep(self, sweep: Sweep) -> None:
        known = self._sweeps.setdefault(sweep.name, sweep)
        if replace(known, created_at="", versions={}) != replace(sweep, created_at="", versions={}):
            raise SweepConflictError(f"another sweep is named {sweep.name}")
        self._runs.setdefault(sweep.name, [])

    def sweep(self, name: str) -> Sweep:
        if name not in self._sweeps:
            raise SweepUnknownError(f"no sweep is named {name}")
        return self._sweeps[name]

    def sweeps(self) -> tuple[str, ...]:
        return tuple(self._sweeps)

    def claim(self, sweep: str, case_key: str, repeat: int, *, owner: str, lease_seconds: float) -> bool:
        if self._done(sweep, case_key, repeat):
            return False
        holder, until = self.claims.get((sweep, case_key, repeat), (owner, 0.0))
        if holder != owner and until > self.now:
            return False
        self.claims[sweep, case_key, repeat] = owner, self.now + lease_seconds
        return True

    def release(self, sweep: str, case_key: str, repeat: int, *, owner: str) -> None:
        if self.claims.get((sweep, case_key, repeat), ("", 0.0))[0] == owner:
            del self.claims[sweep, case_key, repeat]

    def record(self, run: Run) -> None:
        runs = self._runs[run.sweep]
        same = [each for each in runs if (each.case_key, each.repeat) == (run.case_key, run.repeat)]
        if run in same:
            return
        if any(each.attempt == run.attempt for each in same) or self._done(run.sweep, run.case_key, run.repeat):
            raise RunKnownError("another run is there")
        runs.append(run)

    def runs(self, sweep: str, *, with_samples: bool = False) -> tuple[Run, ...]:
        return tuple(sorted(self._runs[sweep], key=lambda run: (run.position, run.attempt)))

    def samples(self, sweep: str, *, case_key: str | None = None) -> Iterator[tuple[Run, tuple[Sample, ...]]]:
        for run in self.runs(sweep):
            if case_key in (None, run.case_key):
                yield run, run.samples

    def close(self) -> None:
        pass

    def _done(self, sweep: str, case_key: str, repeat: int) -> bool:
        return any((run.case_key, run.repeat, run.state) == (case_key, repeat, "done") for run in self._runs[sweep])
