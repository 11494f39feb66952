"""A run's plan under supervision: what the run folder knows goes in, what happens is written there."""

import fcntl
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from coordinator.benching import repredicted
from coordinator.errors import RunFolderError
from coordinator.measurement import Measurement
from coordinator.opening import OnLane
from coordinator.planning import search_front
from coordinator.run_folder import RunFolder, load_wishes
from coordinator.serving.events import Event, EventLog
from coordinator.serving.patience import Patience
from coordinator.serving.replanning import Link, Replanner, restricted
from coordinator.serving.served import Served
from coordinator.serving.service import Service, serve_plan
from coordinator.stage_orders import runnable_fault
from coordinator.steps import OpenRun, load_cost_model
from partitioner.plan import Candidate
from partitioner.search.result import SearchResult

EVENTS_FILE = "events.jsonl"
"""In the run folder: one event a line, as they happen."""
_LOCK_FILE = "deploy.lock"

_logger = logging.getLogger(__name__)


@contextmanager
def serve_run(
    run: OpenRun,
    chosen: Candidate,
    *,
    is_live: bool = False,
    lease_seconds: float,
    on_event: Callable[[Event], None],
    on_lane: OnLane = lambda _lane, _n_done, _n_total, _what: None,
    patience: Patience | None = None,
) -> Iterator[Service]:
    """The plan of a run, live for as long as the context lasts; what a killed coordinator left running is adopted.

    Events go to the run's `events.jsonl`, and in the end to its measurement, where there is one.

    Args:
        run: With its nodes connected.
        chosen: Its plan.
        is_live: Whether other plans are predicted by the profile that a measurement corrected, as the plan was.
        lease_seconds: After which nodes free what no coordinator asks after.
        on_event: Told of each event.
        on_lane: Told how far weights are on their way, a lane for each node.
        patience: How long to wait for what.

    Raises:
        RunFolderError: Another coordinator serves this run.
        CoordinatorError: No plan could be brought up.
    """
    folder = run.folder
    events = EventLog()
    with ExitStack() as stack:
        stack.enter_context(_only_one(folder))
        events.listen(partial(_write, folder))
        events.listen(on_event)
        stack.callback(_keep, run, events)
        taken_off = stack.enter_context(ExitStack())
        service = stack.enter_context(
            serve_plan(
                run.fleet,
                run.model,
                chosen,
                _replanner(run, is_live=is_live),
                running=_running(run),
                lease_seconds=lease_seconds,
                events=events,
                on_served=partial(_record, run),
                patience=patience,
                on_lane=on_lane,
            )
        )
        taken_off.callback(folder.remove, "deployment")  # not before: it may be killed meanwhile
        if service.candidate is not None and service.candidate.plan.stages != chosen.plan.stages:
            service.switch(chosen)
        yield service


@contextmanager
def _only_one(folder: RunFolder) -> Iterator[None]:
    """Keeps other coordinators from the run: two that serve it would take its results from each other."""
    with (folder.path / _LOCK_FILE).open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunFolderError(
                f"Another `splitfront deploy` serves {folder.path}: end it first, or copy the folder."
            ) from error
        yield


def _running(run: OpenRun) -> Served | None:
    """What another coordinator may have left running; agents on this machine end with their coordinator.

    The folder of a copied record may be served elsewhere: what it says is not ours to take over.
    """
    if not run.folder.has("deployment") or any(node.local for node in run.fleet.config.nodes):
        return None
    served = run.folder.load("deployment", Served)
    return served if served.folder in (None, _inode(run.folder)) else None


def _inode(folder: RunFolder) -> int:
    return folder.path.stat().st_ino


def _replanner(run: OpenRun, *, is_live: bool) -> Replanner:
    cost_model = load_cost_model(run.folder, is_live=is_live)
    result, wishes = run.folder.load("front", SearchResult), load_wishes(run.folder)
    runnable = [candidate for candidate in result.front if runnable_fault(candidate.plan, run.model) is None]
    front = [repredicted(cost_model, candidate) for candidate in runnable] if is_live else runnable

    def search(usable: frozenset[str], broken_links: frozenset[Link]) -> Sequence[Candidate]:
        return search_front((restricted(cost_model, usable, broken_links),), wishes.search, None).front

    return Replanner(
        front,
        wish=wishes.choose,
        objectives=result.objectives,
        search=search,
        is_runnable=lambda plan: runnable_fault(plan, run.model) is None,
    )


def _write(folder: RunFolder, event: Event) -> None:
    with (folder.path / EVENTS_FILE).open("a", encoding="utf-8") as log:
        log.write(event.to_json() + "\n")


def _record(run: OpenRun, served: Served) -> None:
    try:
        run.save("deployment", replace(served, folder=_inode(run.folder)))
    except OSError:  # the disk is full, say: no reason to serve no more
        _logger.warning("what serves could not be recorded", exc_info=True)


def _keep(run: OpenRun, events: EventLog) -> None:
    if run.folder.has("measurement"):
        measurement = run.folder.load("measurement", Measurement)
        run.save("measurement", replace(measurement, events=events.events))
