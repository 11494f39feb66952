"""How stage times and link delays vary from request to request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from partitioner.cluster import Cluster
from partitioner.front import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Every request takes what was predicted."""

    def draw(self, mean_seconds: float, n_requests: int, random: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """(n_requests,) float64 seconds."""
        return np.full(n_requests, mean_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """Times around the prediction with a long tail, as operating systems cause; their mean is the prediction.

    Raises:
        ValueError: The coefficient is negative or not finite.
    """

    coefficient_of_variation: float
    """Standard deviation over mean."""

    def __post_init__(self) -> None:
        if not 0 <= self.coefficient_of_variation < math.inf:
            raise ValueError(f"coefficient_of_variation is {self.coefficient_of_variation}: wanted 0 or more.")

    def draw(self, mean_seconds: float, n_requests: int, random: np.random.Generator) -> FloatArray:
        """(n_requests,) float64 seconds."""
        variance = math.log1p(self.coefficient_of_variation**2)
        return mean_seconds * random.lognormal(-variance / 2, math.sqrt(variance), n_requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Empirical:
    """Times drawn with replacement from measured ones, which take the place of the prediction.

    Raises:
        ValueError: There are no samples, or one is negative or not finite.
    """

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds or not all(0 <= sample < math.inf for sample in self.seconds):
            raise ValueError(f"Empirical times want at least one sample, all 0 or more; got {self.seconds[:5]}.")

    def draw(self, mean_seconds: float, n_requests: int, random: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """(n_requests,) float64 seconds."""
        return random.choice(np.asarray(self.seconds, dtype=np.float64), n_requests)


StageVariation = Constant | Lognormal | Empirical


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How everything varies. Each stage and link draws from a random stream of its own.

    Raises:
        ValueError: A jitter is negative or not finite.
    """

    stages: StageVariation = field(default_factory=Constant)
    of_stage: Mapping[int, StageVariation] = field(default_factory=dict)
    """By the index of a stage in the plan, instead of `stages`."""
    jitter_seconds: float = 0.0
    """Standard deviation of every link's delay, which is never negative and never lets a message overtake another."""
    jitter_seconds_of: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """By (source, target), instead of `jitter_seconds`."""

    def __post_init__(self) -> None:
        for jitter in (self.jitter_seconds, *self.jitter_seconds_of.values()):
            if not 0 <= jitter < math.inf:
                raise ValueError(f"jitter_seconds is {jitter}: wanted 0 or more.")

    def stage_seconds(
        self, index: int, mean_seconds: float, n_requests: int, random: np.random.Generator
    ) -> FloatArray:
        """(n_requests,) float64 times of one stage."""
        return self.of_stage.get(index, self.stages).draw(mean_seconds, n_requests, random)

    def jitter_of(self, source: str, target: str) -> float:
        """Standard deviation of one link's delay, in seconds."""
        return self.jitter_seconds_of.get((source, target), self.jitter_seconds)

    def delay_seconds(
        self, source: str, target: str, mean_seconds: float, n_requests: int, random: np.random.Generator
    ) -> FloatArray:
        """(n_requests,) float64 delays of one link."""
        jitter = self.jitter_of(source, target)
        delays = np.full(n_requests, mean_seconds)
        return np.maximum(delays + random.normal(0.0, jitter, n_requests), 0.0) if jitter else delays


CONSTANT = Variation()
"""Nothing varies."""


def link_jitters(cluster: Cluster) -> dict[tuple[str, str], float]:
    """Jitter of each link of a cluster, for `Variation.jitter_seconds_of`."""
    return {pair: link.jitter_seconds for pair, link in cluster.link_of.items()}
