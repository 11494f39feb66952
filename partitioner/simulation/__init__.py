"""An evaluator of plans that shares nothing with the cost model: a discrete-event simulation of the pipeline."""

from partitioner.media import SharedMedium
from partitioner.processors import SharedProcessor
from partitioner.simulation.pipeline import simulate
from partitioner.simulation.result import QueueLoad, ResourceLoad, SimulationResult
from partitioner.simulation.variation import (
    CONSTANT,
    Constant,
    Empirical,
    Lognormal,
    StageVariation,
    Variation,
    link_jitters,
)

__all__ = [
    "CONSTANT",
    "Constant",
    "Empirical",
    "Lognormal",
    "QueueLoad",
    "ResourceLoad",
    "SharedMedium",
    "SharedProcessor",
    "SimulationResult",
    "StageVariation",
    "Variation",
    "link_jitters",
    "simulate",
]
