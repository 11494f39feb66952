"""Visits to plans that are live, each beside one to the stages that its prediction is made from.

A machine that others use is fast and slow by turns: what is measured within a second of each other had the same of it
more often than not.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks._prediction_live import Found, LivePlan
from benchmarks._prediction_plans import Stages
from coordinator.company import Company
from coordinator.live_trial import LiveTrial

LOADED_SECONDS = 0.25
N_LOADED_LEAST = 5
"""Of a visit under load, for each time that stages are."""

Step = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tried:
    """Stages that are tried together."""

    company: Company
    trial: LiveTrial

    def is_of(self, stages: Stages) -> bool:
        """Whether a plan has all of them."""
        return {*self.company.stages} <= {(stage.device, (stage.start, stage.stop)) for stage in stages}

    def time_lone(self) -> None:
        """A request to each, one by one."""
        self.trial.time_lone(seconds=0.0, n_least=1)

    def time_loaded(self) -> None:
        """Requests that wait for one another."""
        self.trial.time_loaded(seconds=LOADED_SECONDS * self.trial.n_loads, n_least=N_LOADED_LEAST)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visited:
    """A plan as it was deployed, its stages, and what was found of it."""

    plan: LivePlan
    beside: Sequence[Tried]
    rounds: list[Found] = field(default_factory=list)

    def visits(self, draw: random.Random) -> list[Step]:
        """Those of one more round."""
        self.rounds.append(Found())
        lone = [*(one.time_lone for one in self.beside), partial(self.plan.time_lone, self.rounds[-1])]
        loaded = [*(one.time_loaded for one in self.beside), partial(self.plan.time_offline, self.rounds[-1])]
        return [
            *[partial(in_any_order, lone, draw)] * self.plan.n_lone_visits,
            *[partial(in_any_order, loaded, draw)] * self.plan.n_offline_visits,
        ]


def in_any_order(steps: Sequence[Step], draw: random.Random) -> None:
    """One step after another."""
    for step in draw.sample(steps, len(steps)):
        step()
