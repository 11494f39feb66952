"""From what a sweep asks for to its cases, and to the order in which they are measured. Pure."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from coordinator.config.sections import DataPlane
from coordinator.config.sweep import SweepConfig
from coordinator.errors import ConfigError
from coordinator.results.values import Case
from coordinator.sweep.plan_choices import Chosen, chosen_stages, coded, label_of
from coordinator.sweep.study import Study
from partitioner.codec import NO_CODEC
from partitioner.errors import PlanError
from partitioner.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """All that a sweep comes to."""

    cases: tuple[Case, ...]
    """Each once, in the order of the file."""
    left_out: tuple[str, ...]
    """Plans that cannot be run, and why, a sentence each."""


def expand(config: SweepConfig, studies: Iterable[Study]) -> Expansion:
    """All cases: studies × conditions × data planes × plans × codecs.

    Raises:
        ConfigError: Nothing is left to be measured, or a split point is not one of a model's.
    """
    cases: dict[tuple[object, ...], Case] = {}
    left_out: dict[str, None] = {}
    for study in studies:
        for found in _study_cases(config, study):
            if isinstance(found, Case):
                cases.setdefault((found.model, found.cluster, found.condition, found.plan, found.data_plane), found)
            else:
                left_out.setdefault(found)
    if not cases:
        raise ConfigError(config.name, ["no plan can be run:", *left_out])
    return Expansion(cases=tuple(cases.values()), left_out=tuple(left_out))


def _study_cases(config: SweepConfig, study: Study) -> Iterator[Case | str]:
    names = [device.name for device in next(iter(study.under.values())).cluster.devices]
    for subset in study.subsets:
        for plane in config.data_planes:
            models = {entry.name: study.cost_model(entry.name, plane) for entry in config.conditions}
            for chosen in chosen_stages(config.plans, study.graph, list(models.values()), subset, seed=config.seed):
                label = label_of(chosen.stages, study.subsets[0])
                for codec in config.codecs if len(chosen.stages) > 1 else (NO_CODEC,):
                    for condition in models:
                        plan = _plan(study, config, condition, plane, replace_codec(chosen, codec))
                        yield (
                            plan
                            if isinstance(plan, str)
                            else Case(
                                model=study.key.model,
                                cluster=study.key.cluster,
                                nodes=tuple(name for name in names if name in subset),
                                condition=condition,
                                plan_label=label,
                                plan=plan,
                                data_plane=plane,
                                codec=codec,
                            )
                        )


def replace_codec(chosen: Chosen, codec: str) -> Chosen:
    """The same plan with a codec at each boundary."""
    return replace(chosen, stages=coded(chosen.stages, codec))


def _plan(study: Study, config: SweepConfig, condition: str, plane: DataPlane, chosen: Chosen) -> Plan | str:
    """A plan with its window, or why it cannot be run."""
    cost_model = study.cost_model(condition, plane)
    where = f"{study.key.model} on {study.key.cluster}: {chosen.label}"
    try:
        plan = cost_model.candidate(chosen.stages).plan
        if config.window is not None:
            plan = replace(plan, window=config.window)
        faults = cost_model.memory_faults(plan)
    except PlanError as error:
        return f"{where}: {error}"
    return f"{where}: {'; '.join(faults)}" if faults else plan


def sweep_order(cases: Sequence[Case], seed: int, n_repeats: int) -> tuple[tuple[str, int], ...]:
    """(case key, repeat): in blocks that hold each case once, each in a new random order, so that drift hits all alike.

    With more repeats, or a longer list of cases, the blocks of other repeats stay as they are.
    """
    keys = sorted(case.key for case in cases)
    order: list[tuple[str, int]] = []
    for repeat in range(n_repeats):
        block = list(keys)
        random.Random(f"{seed} block {repeat}").shuffle(block)  # noqa: S311 - an order, not a secret
        order += [(key, repeat) for key in block]
    return tuple(order)
