"""What `splitfront sweep` does, from its options to what it says."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from coordinator.cli.terminal import Terminal
from coordinator.config.quantities import span_text
from coordinator.config.sweep import quick
from coordinator.config.sweep_file import SweepFile, load_sweep
from coordinator.errors import MeasurementError
from coordinator.results.store import open_store
from coordinator.sweep.dry_run import outlook
from coordinator.sweep.folder import SweepFolder
from coordinator.sweep.preparing import check_file
from coordinator.sweep.rig import Rig
from coordinator.sweep.runner import Outcome
from coordinator.sweep.session import describe, open_session
from partitioner.graph import Graph


def sweep_file(path: Path, seed: int | None, *, is_quick: bool = False) -> SweepFile:
    """The sweep of a file, with another seed where one is given; each case once and briefly where it `is_quick`.

    Raises:
        ConfigError: With every fault of the file.
    """
    file = load_sweep(path)
    config = file.config if seed is None else file.config.model_copy(update={"seed": seed})
    return replace(file, config=quick(config) if is_quick else config)


def tell_outlook(file: SweepFile, folder: Path, terminal: Terminal) -> None:
    """Says what would be measured, and for how long; starts no node.

    Raises:
        ConditionError: A condition cannot be applied.
    """
    check_file(file)
    place, config = SweepFolder(folder), file.config
    with Rig(file, place, terminal) as rig:

        def graph_of(model: str, batch: int) -> Graph:
            return rig.model(model, batch).graph

        found = outlook(file, graph_of)
    least, most = config.repeats.least, config.repeats.most
    once = sum(each.repeat_seconds for each in found)
    longest = min(once * most, max(once * least, config.repeats.budget_seconds or once * most))
    front = any(choice.every == "front" for choice in config.plans)
    lines = [
        f"Would measure, into {place.path}, {least} to {most} times each:",
        *(
            f"  {each.model}, batch {each.batch}, on {each.cluster}, {each.condition}: {each.n_plans} plans, "
            f"{span_text(each.repeat_seconds)} once"
            for each in found
        ),
        *(["  and the predicted fronts, which are known once models are profiled"] if front else []),
        f"That is {sum(each.n_plans for each in found)} cases, {span_text(once * least)} to {span_text(longest)} "
        f"without computing, after profiling ({span_text(config.profile_seconds)} for each model and node).",
    ]
    facts = {
        "folder": str(place.path),
        "studies": [asdict(each) for each in found],
        "with_predicted_fronts": front,
        "least_seconds": once * least,
        "most_seconds": longest,
    }
    terminal.tell("\n".join(lines), facts)


def measured(file: SweepFile, folder: Path, terminal: Terminal, *, store_url: str | None) -> None:
    """Prepares or takes up a sweep, measures what is left, and says what came of it.

    Raises:
        MeasurementError: Repeats are missing that could not be measured; all others were.
    """
    with open_session(file, folder, terminal, open_store=open_store, store_url=store_url) as session:
        sweep = session.begun.sweep
        is_new = session.begun.is_new
        terminal.say(f"{'Begins' if is_new else 'Goes on with'} sweep '{sweep.name}', seed {sweep.seed}.")
        terminal.say(describe(file, session.studies, session.begun))
        outcome = session.measure(terminal)
    where = store_url or str(SweepFolder(folder).results)
    terminal.print_json_line(json.dumps({"sweep": sweep.name, "store": where, **asdict(outcome)}))
    terminal.say(_summary(outcome, where))
    if outcome.missing:
        faults = "\n  ".join(outcome.missing)
        raise MeasurementError(
            f"{len(outcome.missing)} repeats could not be measured; call it again to try them again:\n  {faults}"
        )


def _summary(outcome: Outcome, where: str) -> str:
    parts = [f"{outcome.n_done} runs of {outcome.n_cases} cases are in {where}"]
    if outcome.n_invalid:
        parts.append(f"{outcome.n_invalid} attempts were not under their condition, and were repeated")
    if outcome.n_failed:
        parts.append(f"{outcome.n_failed} attempts failed")
    return "; ".join(parts) + "."


def predicted(
    file: SweepFile, folder: Path, terminal: Terminal, *, store_url: str | None, scheduler: str | None
) -> None:
    """Prepares a sweep and predicts all of its conditions, in processes here or on a Dask cluster."""
    from coordinator.sweep.predict_only import predict_studies  # noqa: PLC0415 - not needed to measure
    from coordinator.sweep.workers import open_workers  # noqa: PLC0415

    with (
        open_session(file, folder, terminal, open_store=open_store, store_url=store_url) as session,
        open_workers(scheduler=scheduler) as workers,
        terminal.progress(f"Predicting {session.begun.sweep.name}") as on_lane,
    ):
        found = [
            *predict_studies(
                session.file,
                session.begun.sweep,
                session.studies,
                folder,
                workers=workers,
                on_step=lambda name, share, what: on_lane(name, round(100 * share), 100, what),
            )
        ]
    terminal.print_json_line(
        json.dumps([{**asdict(each), "path": str(each.path)} for each in found], ensure_ascii=False)
    )
    for each in found:
        left = f"; {each.n_left_out} plans with codecs were left out" if each.n_left_out else ""
        terminal.say(f"{each.name}, {each.n_conditions} conditions{left}:")
        terminal.say("".join(f"  {sentence}\n" for sentence in each.sentences) + f"  All of it: {each.path}")
