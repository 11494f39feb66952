"""Measure and correct: the stages of the predicted front are run on the nodes, and the search is repeated."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coordinator.correction import Correction
from coordinator.fleet import Fleet
from coordinator.planning import search_front
from coordinator.profiling import OnProgress, ignore_progress
from coordinator.rests import Span, rests_of
from coordinator.trials import Hops, bare_hops, try_stages
from coordinator.wishes import SearchWish
from partitioner.cost import CostModel
from partitioner.onnx_io import Model
from partitioner.plan import Candidate
from partitioner.profile import Profile, StageTrial
from partitioner.search.result import SearchResult

BUDGET_SECONDS = 60.0
TRIAL_SECONDS = (0.6, 2.0)
"""For each stage: at least, and at most."""
DEPLOYING_SECONDS = 0.5
"""What a stage takes beside its trial, about."""

Stages = Mapping[str, Sequence[Span]]
"""By device."""


def correct_front(
    fleet: Fleet,
    model: Model,
    cost_model: CostModel,
    wish: SearchWish,
    *,
    budget_seconds: float = BUDGET_SECONDS,
    on_progress: OnProgress = ignore_progress,
) -> tuple[Profile, SearchResult, Correction]:
    """Runs the front's own stages where that was not done, and searches again, until the front stands still.

    Within the budget the stages that most plans of the front share come first.

    Raises:
        NodeError: A node failed.
        InfeasibleError: No plan satisfies the constraints.
    """
    began = time.perf_counter()
    result, n_searches, n_stages = search_front((cost_model,), wish, None), 1, 0
    hops_of: dict[str, Hops] = {}
    while untried := untried_stages(cost_model.profile, result.front):
        left = budget_seconds - (time.perf_counter() - began)
        chosen, seconds = within_budget(untried, left)
        if not chosen:
            break
        rests = rests_of(result.front, fleet.host_of)
        spans_of = by_device(chosen)
        hops_of |= {name: bare_hops(fleet.node_of[name]) for name in spans_of if name not in hops_of}
        trials = {
            name: try_stages(
                fleet.node_of[name],
                model,
                {span: rests[name, span] for span in spans},
                seconds=seconds,
                seed=wish.seed,
                on_trial=on_progress,
                hops=hops_of[name],
            )
            for name, spans in spans_of.items()
        }
        n_stages += len(chosen)
        cost_model = replace(cost_model, profile=with_trials(cost_model.profile, trials))
        result, n_searches = search_front((cost_model,), wish, None), n_searches + 1
    correction = Correction(
        n_searches=n_searches,
        n_stages=n_stages,
        n_untried=len(untried),
        seconds=time.perf_counter() - began,
        budget_seconds=budget_seconds,
    )
    return cost_model.profile, result, correction


def untried_stages(profile: Profile, front: Sequence[Candidate]) -> tuple[tuple[str, Span], ...]:
    """(device, span) of the front's stages that were not run as such, those first that most plans share."""
    tried = {(device.device, (trial.start, trial.stop)) for device in profile.devices for trial in device.trials}
    uses = Counter(
        (device, (stage.start, stage.stop))
        for candidate in front
        for stage in candidate.plan.stages
        for device in stage.devices
    )
    return tuple(stage for stage, _ in uses.most_common() if stage not in tried)


def within_budget(untried: Sequence[tuple[str, Span]], seconds: float) -> tuple[Sequence[tuple[str, Span]], float]:
    """How many of the stages can be run in so many seconds, and for how long each."""
    least, most = TRIAL_SECONDS
    n_possible = max(0, int(seconds / (least + DEPLOYING_SECONDS)))
    chosen = untried[:n_possible]
    return chosen, min(most, seconds / max(len(chosen), 1) - DEPLOYING_SECONDS)


def by_device(stages: Sequence[tuple[str, Span]]) -> dict[str, list[Span]]:
    """Spans of each device, in order of appearance."""
    found: dict[str, list[Span]] = {}
    for device, span in stages:
        found.setdefault(device, []).append(span)
    return found


def with_trials(profile: Profile, trials: Mapping[str, Sequence[StageTrial]]) -> Profile:
    """The profile with trials by device added; a span tried again has its newer trial."""

    def merged(older: Sequence[StageTrial], newer: Sequence[StageTrial]) -> tuple[StageTrial, ...]:
        found = {(trial.start, trial.stop): trial for trial in (*older, *newer)}
        return tuple(found[span] for span in sorted(found))

    devices = tuple(
        replace(device, trials=merged(device.trials, trials.get(device.device, ()))) for device in profile.devices
    )
    return replace(profile, devices=devices)
