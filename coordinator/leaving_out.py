"""How good recalibration is, judged by leaving out: each measured plan is predicted by what the others taught."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from coordinator.measurement import PlanMeasurement, Prediction, StageMeasurement
from coordinator.recalibration import Regime, recalibrate
from partitioner.cost import CostModel
from partitioner.plan import CostEstimate


def correct_each_by_others(cost_model: CostModel, measured: Sequence[PlanMeasurement]) -> tuple[PlanMeasurement, ...]:
    """The same plans, each with the prediction of the model corrected by the *others*: no plan is fitted to itself.

    All measurements of the same stages are left out for a plan. Its latency is predicted from unloaded stage times,
    its throughput from busy ones. A plan of whose devices the others tell nothing stays without.

    Raises:
        PlanError: A measured plan does not fit the model.
    """
    return tuple(
        _corrected_plan(cost_model, plan, [other for other in measured if other.plan.stages != plan.plan.stages])
        for plan in measured
    )


def _corrected_plan(cost_model: CostModel, plan: PlanMeasurement, others: Sequence[PlanMeasurement]) -> PlanMeasurement:
    told = {stage.device for other in others for stage in other.stages if _is_telling(stage)}
    if not told & {stage.device for stage in plan.stages}:
        return plan
    predict = partial(_prediction_of, cost_model, plan, others)
    unloaded, busy = predict("unloaded"), predict("busy")
    return replace(
        plan,
        corrected=Prediction(
            latency_seconds=unloaded.latency_seconds, throughput_per_second=busy.throughput_per_second
        ),
        stages=tuple(
            stage
            if stage.is_paced or stage.device not in told
            else replace(stage, corrected_compute_seconds=unloaded.stages[stage.stage].compute_seconds)
            for stage in plan.stages
        ),
    )


def _prediction_of(
    cost_model: CostModel, plan: PlanMeasurement, others: Sequence[PlanMeasurement], regime: Regime
) -> CostEstimate:
    return replace(cost_model, profile=recalibrate(cost_model, others, regime).profile).predict(plan.plan)


def _is_telling(stage: StageMeasurement) -> bool:
    return (
        not stage.is_paced and stage.compute_median_seconds is not None and stage.unloaded_compute_seconds is not None
    )
