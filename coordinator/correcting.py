"""Measure and correct: the stages of the predicted front are run on the nodes, and the search is repeated."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coordinator.company import Company, companies_to_try, untried_stages
from coordinator.correction import Correction
from coordinator.fleet import Fleet
from coordinator.planning import search_front
from coordinator.profiling import OnProgress, ignore_progress
from coordinator.trials import try_stages
from coordinator.wishes import SearchWish
from partitioner.cost import CostModel
from partitioner.onnx_io import Model
from partitioner.profile import Profile, StageTrial
from partitioner.search.result import SearchResult

BUDGET_SECONDS = 60.0
TRIAL_SECONDS = (0.6, 2.0)
"""For each company: at least, and at most."""
DEPLOYING_SECONDS = 0.5
"""What a company takes beside its trial, about."""


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
    while companies := companies_to_try(cost_model.profile, result.front, fleet.places):
        left = budget_seconds - (time.perf_counter() - began)
        chosen, seconds = within_budget(companies, left)
        if not chosen:
            break
        trials = try_stages(fleet, model, chosen, seconds=seconds, seed=wish.seed, on_trial=on_progress)
        n_stages += sum(map(len, trials.values()))
        cost_model = replace(cost_model, profile=with_trials(cost_model.profile, trials))
        result, n_searches = search_front((cost_model,), wish, None), n_searches + 1
    correction = Correction(
        n_searches=n_searches,
        n_stages=n_stages,
        n_untried=len(untried_stages(cost_model.profile, result.front)),
        seconds=time.perf_counter() - began,
        budget_seconds=budget_seconds,
    )
    return cost_model.profile, result, correction


def within_budget(companies: Sequence[Company], seconds: float) -> tuple[Sequence[Company], float]:
    """How many of the companies can be run in so many seconds, and for how long each."""
    least, most = TRIAL_SECONDS
    n_possible = max(0, int(seconds / (least + DEPLOYING_SECONDS)))
    chosen = companies[:n_possible]
    return chosen, min(most, seconds / max(len(chosen), 1) - DEPLOYING_SECONDS)


def with_trials(profile: Profile, trials: Mapping[str, Sequence[StageTrial]]) -> Profile:
    """The profile with trials by device added; a span tried again has its newer trial."""

    def merged(older: Sequence[StageTrial], newer: Sequence[StageTrial]) -> tuple[StageTrial, ...]:
        found = {(trial.start, trial.stop): trial for trial in (*older, *newer)}
        return tuple(found[span] for span in sorted(found))

    devices = tuple(
        replace(device, trials=merged(device.trials, trials.get(device.device, ()))) for device in profile.devices
    )
    return replace(profile, devices=devices)
