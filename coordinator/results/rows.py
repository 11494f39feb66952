"""Sweeps and runs as rows, and back. Each sweep and each run carries the digest of what it is, so that damage shows."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from coordinator.errors import ResultStoreError
from coordinator.results.columns import ADDED, RUN_KEY, TABLES, Row, checked_row, json_text, number_json
from coordinator.results.values import Case, LinkFound, ResourceUse, Run, RunState, Sample, Scenario, Sweep
from partitioner.plan import Plan, Stage

NOT_IDENTITY = frozenset({"created_at", "versions", "sha256"})
"""Columns of a sweep that may differ when it is taken up again."""
_NOT_KEPT = {name: cell for cells in ADDED.values() for name, cell in cells.items()}
_SAMPLE_CONTENT = tuple(name for name in TABLES["samples"] if name not in RUN_KEY)
_RUN_CONTENT = tuple(name for name in TABLES["runs"] if name != "sha256")


def sweep_rows(sweep: Sweep) -> tuple[Row, list[Row]]:
    """The row of a sweep and those of its cases.

    Raises:
        ResultStoreError: Something in it cannot be stored.
    """
    what = f"Sweep {sweep.name!r}"
    cases = [_case_row(sweep.name, position, case) for position, case in enumerate(sweep.cases)]
    row = checked_row(
        "sweeps",
        {
            "name": sweep.name,
            "seed": sweep.seed,
            "created_at": sweep.created_at,
            "n_repeats": sweep.n_repeats,
            "spec": json_text(sweep.spec, f"{what}: its spec"),
            "versions": json_text(sweep.versions, f"{what}: its versions"),
            "running_order": json_text(sweep.order, f"{what}: its order"),
            "sha256": "-",
        },
        what,
    )
    return row | {"sha256": _sweep_digest(row, cases)}, cases


def to_sweep(row: Row, cases: Sequence[Row]) -> Sweep:
    """The sweep of its rows, those of the cases in any order.

    Raises:
        ResultStoreError: The rows are not those that were written.
    """
    what = f"Sweep {row['name']!r}"
    ordered = sorted(cases, key=lambda case: case["position"] or 0)
    if row["sha256"] != _sweep_digest(row, ordered):
        raise _damaged(what)
    fields: dict[str, Any] = {**row}
    try:
        return Sweep(
            name=fields["name"],
            spec=json.loads(fields["spec"]),
            seed=fields["seed"],
            created_at=fields["created_at"],
            versions=json.loads(fields["versions"]),
            cases=tuple(map(_to_case, ordered)),
            n_repeats=fields["n_repeats"],
            order=tuple((key, repeat) for key, repeat in json.loads(fields["running_order"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(what) from error


def run_rows(run: Run) -> tuple[Row, list[Row]]:
    """The row of a run and those of its samples.

    Raises:
        ResultStoreError: Something in it cannot be stored.
    """
    what = f"Run {run_name(run)}"
    key = {"sweep": run.sweep, "case_key": run.case_key, "repeat": run.repeat, "attempt": run.attempt}
    samples = [
        checked_row("samples", key | _sample_cells(number, sample), f"{what}, sample {number}")
        for number, sample in enumerate(run.samples)
    ]
    cells = {
        field.name: getattr(run, field.name) for field in dataclasses.fields(run) if field.name in TABLES["runs"]
    } | {
        "links": json_text([_link_json(link) for link in run.links], f"{what}: its links"),
        "resources": json_text([_resource_json(use) for use in run.resources], f"{what}: its resources"),
        "environment": json_text(dict(run.environment), f"{what}: its environment"),
        "figures": json_text({name: number_json(value) for name, value in run.figures.items()}, f"{what}: its figures"),
        "n_samples": len(samples),
        "samples_sha256": _digest(_SAMPLE_CONTENT, samples),
        "sha256": "-",
    }
    row = checked_row("runs", cells, what)
    return row | {"sha256": _digest(_RUN_CONTENT, [row])}, samples


def to_run(row: Row, samples: Sequence[Row] | None = None) -> Run:
    """The run of its row, with the samples of these rows; they are checked only where they are given.

    Raises:
        ResultStoreError: The rows are not those that were written.
    """
    fields: dict[str, Any] = {**row}
    what = "Run {case_key}/{repeat}/{attempt} of sweep {sweep!r}".format(**fields)
    if row["sha256"] != _digest(_RUN_CONTENT, [row]) or row["state"] not in get_args(RunState):
        raise _damaged(what)
    if samples is not None:
        samples = sorted(samples, key=lambda sample: sample["number"] or 0)
        if row["n_samples"] != len(samples) or row["samples_sha256"] != _digest(_SAMPLE_CONTENT, samples):
            raise _damaged(f"{what}, among its samples,")
    try:
        plain = {
            field.name: fields[field.name]
            for field in dataclasses.fields(Run)
            if TABLES["runs"].get(field.name, "json") != "json"
        }
        return Run(
            **plain,
            links=tuple(_to_link(link) for link in json.loads(fields["links"])),
            resources=tuple(_to_resource(use) for use in json.loads(fields["resources"])),
            environment=json.loads(fields["environment"]),
            figures={name: float(value) for name, value in json.loads(fields["figures"]).items()},
            samples=to_samples(samples or ()),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(what) from error


def to_samples(rows: Iterable[Mapping[str, Any]]) -> tuple[Sample, ...]:
    """The samples of rows that were checked."""
    return tuple(
        Sample(
            scenario=_to_scenario(row["scenario"]),
            request=row["request"],
            sent_seconds=row["sent_seconds"],
            received_seconds=row["received_seconds"],
            compute_seconds=tuple(map(float, json.loads(row["compute_seconds"]))),
        )
        for row in rows
    )


def run_name(run: Run) -> str:
    """`CASE/REPEAT/ATTEMPT of sweep 'NAME'`, for errors."""
    return f"{run.case_key}/{run.repeat}/{run.attempt} of sweep {run.sweep!r}"


def _case_row(sweep: str, position: int, case: Case) -> Row:
    cells = {field.name: getattr(case, field.name) for field in dataclasses.fields(case)}
    what = f"Case {position} of sweep {sweep!r}"
    cells["nodes"] = json_text(case.nodes, what)
    cells["plan"] = json_text(dataclasses.asdict(case.plan), what)
    return checked_row("cases", cells | {"sweep": sweep, "position": position, "key": case.key}, what)


def _to_case(row: Row) -> Case:
    fields: dict[str, Any] = {name: cell for name, cell in row.items() if name not in {"sweep", "position", "key"}}
    plan = json.loads(fields["plan"])
    stages = tuple(Stage(**{**stage, "replicas": tuple(stage["replicas"])}) for stage in plan["stages"])
    case = Case(**{**fields, "nodes": tuple(json.loads(fields["nodes"])), "plan": Plan(**{**plan, "stages": stages})})
    if case.key != row["key"]:
        raise ResultStoreError(
            f"Case {row['key']} of sweep {row['sweep']!r} is called {case.key} by this splitfront: another version "
            "wrote it. Read it with that one."
        )
    return case


def _sample_cells(number: int, sample: Sample) -> dict[str, object]:
    return {
        "number": number,
        "scenario": _to_scenario(sample.scenario),
        "request": sample.request,
        "sent_seconds": sample.sent_seconds,
        "received_seconds": sample.received_seconds,
        "compute_seconds": json_text([number_json(seconds) for seconds in sample.compute_seconds], "Times of stages"),
    }


def _to_scenario(text: str) -> Scenario:
    for scenario in get_args(Scenario):
        if text == scenario:
            return scenario  # type: ignore[no-any-return]  # get_args is untyped
    raise ValueError(f"unknown scenario {text!r}")


def _link_json(link: LinkFound) -> dict[str, object]:
    return {
        name: number_json(value) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(link).items()
    }


def _to_link(content: Mapping[str, Any]) -> LinkFound:
    numbers = {
        name: None if value is None else float(value)
        for name, value in content.items()
        if name not in {"source", "target"}
    }
    return LinkFound(source=content["source"], target=content["target"], **numbers)


def _resource_json(use: ResourceUse) -> dict[str, object]:
    n_bytes = None if use.tensor_bytes is None else number_json(use.tensor_bytes)
    return {"resource": use.resource, "busy_seconds": number_json(use.busy_seconds), "tensor_bytes": n_bytes}


def _to_resource(content: Mapping[str, Any]) -> ResourceUse:
    n_bytes = content["tensor_bytes"]
    return ResourceUse(
        resource=content["resource"],
        busy_seconds=float(content["busy_seconds"]),
        tensor_bytes=None if n_bytes is None else float(n_bytes),
    )


def _sweep_digest(row: Row, cases: Sequence[Row]) -> str:
    own = _digest([name for name in TABLES["sweeps"] if name not in NOT_IDENTITY], [row])
    return hashlib.sha256((own + _digest(tuple(TABLES["cases"]), cases)).encode()).hexdigest()


def _digest(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Of these columns of rows, in their order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row[name] for name in columns if row[name] != _NOT_KEPT.get(name)]).encode())
    return digest.hexdigest()


def _damaged(what: str) -> ResultStoreError:
    return ResultStoreError(
        f"{what} is damaged: it is not what was written. Import it again from an export or a bundle."
    )
