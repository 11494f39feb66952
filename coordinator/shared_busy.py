"""For how long a measured request kept busy what links or devices share."""

from collections import defaultdict
from collections.abc import Sequence

from coordinator.measurement import StageMeasurement
from partitioner.plan import CostEstimate


def computing_seconds(stage: StageMeasurement, loaded_seconds: float, cost: CostEstimate | None) -> float:
    """For how long a request kept a device of a stage computing that took so long under load.

    Stages on a processor that is too small for all of them stretch each other under load, which is waiting rather than
    work: of those the time of a lone request counts.
    """
    alone = stage.unloaded_compute_seconds
    is_stretched = cost is not None and stage.stage in cost.contending_stages
    return alone.value if is_stretched and alone is not None else loaded_seconds


def shared_seconds(
    stages: Sequence[StageMeasurement], input_send_seconds: float, cost: CostEstimate
) -> dict[str, float]:
    """By `medium:NAME` and `processor:NAME`; the prediction tells what crossed or used them, and by which part.

    Processors are counted busy while stages compute, not while they code.
    """
    busy: dict[str, float] = defaultdict(float)
    sent = (input_send_seconds, *(stage.send_seconds for stage in stages))
    for hop, seconds in zip(cost.hops, sent, strict=False):
        for medium in hop.media:
            busy[f"medium:{medium.name}"] += seconds
    for stage, predicted in zip(stages, cost.stages, strict=False):
        for processor in predicted.processors:
            weight = processor.busy_seconds / (predicted.busy_seconds * predicted.n_replicas)
            busy[f"processor:{processor.name}"] += weight * computing_seconds(stage, stage.compute_seconds, cost)
    return dict(busy)
