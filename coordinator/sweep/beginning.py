"""Begins a sweep, or takes one up: the cases are those of the first time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from coordinator.config.sweep_file import SweepFile
from coordinator.errors import SweepConflictError
from coordinator.results.ports import ResultStore
from coordinator.results.values import Sweep
from coordinator.sweep.cases import expand, sweep_order
from coordinator.sweep.study import Study
from partitioner.serialize import versions


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A sweep that is in its store."""

    sweep: Sweep
    left_out: tuple[str, ...]
    """Plans that cannot be run, and why; empty where it was taken up."""
    is_new: bool


def known_sweep(file: SweepFile, store: ResultStore) -> Sweep | None:
    """The sweep of this name in the store; None where there is none.

    Raises:
        SweepConflictError: It was begun with another file.
    """
    name = file.config.name
    if name not in store.sweeps():
        return None
    known = store.sweep(name)
    asked = _plain(file.spec)
    differing = sorted(key for key in {*asked, *known.spec} if asked.get(key) != _plain(known.spec).get(key))
    if differing:
        raise SweepConflictError(
            f"Sweep '{name}' was begun with another file: {', '.join(differing)} differ. Give it a new name, or a new "
            "folder (--out) and store; or put the file back to go on with the former one."
        )
    return known


def _plain(spec: object) -> dict[str, object]:
    """As it is once it has been through JSON."""
    plain: dict[str, object] = json.loads(json.dumps(spec))
    return plain


def begin(file: SweepFile, studies: Sequence[Study], store: ResultStore) -> Begun:
    """The sweep in its store: taken up, or expanded and put there.

    Raises:
        SweepConflictError: The store has another sweep of this name, or one of another model under the same name.
        ConfigError: No plan can be run.
    """
    known = known_sweep(file, store)
    if known is not None:
        _check_models(known, studies)
        return Begun(sweep=known, left_out=(), is_new=False)
    config = file.config
    expansion = expand(config, studies)
    sweep = Sweep(
        name=config.name,
        spec=_plain(file.spec),
        seed=config.seed,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        cases=expansion.cases,
        n_repeats=config.repeats.least,
        order=sweep_order(expansion.cases, config.seed, config.repeats.most),
    )
    store.add_sweep(sweep)
    return Begun(sweep=sweep, left_out=expansion.left_out, is_new=True)


def _check_models(sweep: Sweep, studies: Sequence[Study]) -> None:
    known = {(case.model, case.plan.batch): case.plan.model_sha256 for case in sweep.cases}
    for study in studies:
        digest = known.get((study.key.model, study.key.batch), study.graph.model_sha256)
        if digest != study.graph.model_sha256:
            raise SweepConflictError(
                f"{study.key.model} is not the model that sweep '{sweep.name}' was begun with (digest "
                f"{study.graph.model_sha256[:12]}…, the sweep has {digest[:12]}…): put the model back to go on, or "
                "give the sweep a new name."
            )
