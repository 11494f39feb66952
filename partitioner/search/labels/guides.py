"""The guides of a box: which sums and peaks, and their tables."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan
from partitioner.search.labels.arrays import Gaps, Guides, Table
from partitioner.search.labels.costs import LabelProblem
from partitioner.search.labels.extension import BLOCK
from partitioner.search.labels.rest import find_least, trace_least
from partitioner.search.problem import LATENCY

SHARES = (0.25, 0.5, 0.75)
"""Of the second of two sums in a mixture of both."""
N_CAPS = 3
"""Guides of each first sum under bounds on a peak that is not swept."""
LEAST, MOST = 1e-300, 1e300
"""Below and above every figure, but for 0 and infinity. `MOST` says that no plan keeps the cap of a guide, which
matters only to gaps below the cap."""
ROOM = 1e-9
"""Relative room for the rounding of least rests, whose sums are ordered otherwise than those of labels."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Guide:
    """What one guide is the least of."""

    weights: FloatArray
    """(n_figures,) of the sums; all 0 for one of a peak."""
    peak: int = -1
    """The figure of one of a peak."""
    capped: int = -1
    """A peak that is not swept …"""
    cap: float = np.inf
    """… and stays below this."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Guided:
    """Guides with their tables under a cap of the swept peak."""

    guides: tuple[Guide, ...]
    tables: Guides
    least: FloatArray
    """(n_guides,) over all plans, within rounding; infinity where no plan keeps the cap."""
    plans: tuple[EncodedPlan, ...]
    """A plan of the least sum for each guide of sums."""


def plain_guides(labels: LabelProblem) -> list[Guide]:
    """One for each sum, in the order of the figures, and one for each peak that is not swept."""
    n_figures, n_sums = len(labels.names), labels.costs.n_sums
    peaks = range(n_sums, n_figures - 1)
    sums = [Guide(weights=np.eye(n_figures)[figure]) for figure in range(n_sums)]
    return [*sums, *(Guide(weights=np.zeros(n_figures), peak=peak) for peak in peaks)]


def mixtures(labels: LabelProblem, least: FloatArray) -> list[Guide]:
    """Guides of several sums together, each sum counted in its least over all plans."""
    n_sums = labels.costs.n_sums
    least = np.where(np.isfinite(least) & (least > 0), least, 1.0)
    if LATENCY in labels.names:  # of the same kind, while some plans may not use what is shared at all
        least[labels.shared] = least[labels.names.index(LATENCY)]
    unit = np.zeros((n_sums, len(labels.names)))
    for figure in range(n_sums):
        unit[figure, figure] = 1.0 / least[figure]
    shares = SHARES if n_sums == 2 else (0.5,)
    found = [
        Guide(weights=(1 - share) * unit[one] + share * unit[other])
        for one, other in combinations(range(n_sums), 2)
        for share in shares
    ]
    return [*found, Guide(weights=unit.sum(axis=0))] if n_sums > 2 else found


def capped_guides(labels: LabelProblem, corners: FloatArray, mixed: list[Guide]) -> list[Guide]:
    """Guides of sums under bounds on a peak that is not swept: bounds at which gaps begin."""
    if not labels.costs.n_sums:
        return []
    sums = [*plain_guides(labels)[: labels.costs.n_sums][:2], *mixed[len(mixed) // 2 :][:1]]
    found = []
    for column, figure in enumerate(labels.covered):
        if figure >= labels.costs.n_sums:
            edges = np.unique(corners[np.isfinite(corners[:, column]), column])
            chosen = edges[np.unique(np.linspace(0, len(edges) - 1, N_CAPS).astype(np.int64))] if len(edges) else edges
            found += [
                Guide(weights=guide.weights, capped=int(figure), cap=float(cap)) for cap in chosen for guide in sums
            ]
    return found


def guided(labels: LabelProblem, guides: list[Guide], cap: float) -> Guided:
    """The tables of guides for plans whose swept peak is at most `cap`."""
    n_rows, n_positions = labels.tables.shape
    before, after = np.empty((n_rows, n_positions, len(guides))), np.empty((n_rows, n_positions, len(guides)))
    least, plans = np.empty(len(guides)), []
    for index, guide in enumerate(guides):
        table = _table(labels, guide, cap)
        least[index] = find_least(labels.costs, table)
        most = np.inf if guide.capped < 0 else MOST
        before[:, :, index], after[:, :, index] = np.minimum(table.before, most), np.minimum(table.after, most)
        if guide.peak < 0 and np.isfinite(least[index]):
            plans.append(_least_plan(labels, table))
    tables = Guides(
        before=before,
        after=after,
        weights=np.array([guide.weights for guide in guides]),
        peak=np.array([guide.peak for guide in guides], dtype=np.int64),
    )
    return Guided(guides=tuple(guides), tables=tables, least=least, plans=tuple(plans))


def gaps_of(labels: LabelProblem, guides: tuple[Guide, ...], corners: FloatArray, cap: float) -> Gaps:
    """Thresholds of guides for the corners below which plans are wanted, under a cap of the swept peak."""
    corners = corners[np.argsort(corners[:, 0], kind="stable")]
    bounds, allowance = labels.bounds(cap), 1.0 + labels.accuracy
    limits = np.tile(bounds * allowance * (1 + ROOM) + LEAST, (len(corners), 1))
    limits[:, labels.covered] = np.minimum(limits[:, labels.covered], corners)
    if labels.bottleneck in labels.covered:
        limits[:, labels.shared] = np.minimum(limits[:, labels.shared], limits[:, [labels.bottleneck]])
    n_blocks = -(-len(corners) // BLOCK)
    thresholds = np.full((n_blocks * BLOCK, len(guides)), -np.inf)
    hard = np.full(len(guides), np.inf)
    for index, guide in enumerate(guides):
        thresholds[: len(corners), index] = _thresholds(guide, limits)
        figure = int(np.argmax(guide.weights))
        if guide.peak < 0 and guide.capped < 0 and np.count_nonzero(guide.weights) == 1:
            hard[index] = guide.weights[figure] * bounds[figure] * (1 + ROOM)
    largest = thresholds.reshape(n_blocks, BLOCK, len(guides)).max(axis=1)
    return Gaps(thresholds=thresholds, largest=largest, limits=np.stack([hard, largest.max(axis=0)]))


def _thresholds(guide: Guide, limits: FloatArray) -> FloatArray:
    """(n_corners,) what plans below each corner stay below."""
    if guide.peak >= 0:
        found: FloatArray = limits[:, guide.peak]
        return found
    used = np.flatnonzero(guide.weights)
    found = limits[:, used] @ guide.weights[used] * (1 + ROOM)
    is_capped = guide.capped >= 0
    return np.where(limits[:, guide.capped] <= guide.cap, np.minimum(found, MOST / 2), np.inf) if is_capped else found


def _table(labels: LabelProblem, guide: Guide, cap: float) -> Table:
    """What a guide is the least of, without what caps forbid."""
    return Table(
        stage=_combined(labels, guide, cap, labels.costs.stage),
        hop=_combined(labels, guide, cap, labels.costs.hop),
        is_peak=guide.peak >= 0,
        before=np.empty(labels.tables.shape),
        after=np.empty(labels.tables.shape),
    )


def _combined(labels: LabelProblem, guide: Guide, cap: float, costs: FloatArray) -> FloatArray:
    used = np.flatnonzero(guide.weights)
    found = costs[..., guide.peak] if guide.peak >= 0 else costs[..., used] @ guide.weights[used]
    is_kept = costs[..., labels.swept] <= cap if labels.swept >= 0 else np.isfinite(found)
    if guide.capped >= 0:
        is_kept = is_kept & (costs[..., guide.capped] < guide.cap)
    return np.where(is_kept, found, np.inf)


def _least_plan(labels: LabelProblem, table: Table) -> EncodedPlan:
    kinds, stops = np.zeros((2, labels.tables.shape[1]), dtype=np.int64)
    n_stages = trace_least(labels.costs, table, kinds, stops)
    return labels.decoded(kinds[:n_stages].tolist(), stops[:n_stages].tolist())
