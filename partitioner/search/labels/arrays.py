"""The arrays of the engine `labels`. They belong to the caller of its compiled loops and are filled in place.

A *figure* is what a label sums up or takes the largest of: sums first, then peaks. A *guide* is a table of the least
rest of a plan from every state: of a weighted sum of the sums, or of one peak. Rows and types are those of
`exact.arrays.Chain`; the client is the type n_types.
"""

from typing import NamedTuple

from partitioner.front import FloatArray, IntArray
from partitioner.search.exact.arrays import IndexArray


class Costs(NamedTuple):
    """The problem."""

    stage: FloatArray
    """(n_types, n_positions, n_positions, n_figures) at [type, start, stop]; infinity in all where none can be."""
    hop: FloatArray
    """(n_types + 1, n_types + 1, n_positions, n_figures) at [source, target, position]; infinity like `stage`."""
    n_sums: int
    """Of the figures, sums; the others are peaks."""
    type_of: IntArray
    next_row: IntArray
    first_row: IntArray
    edges: IntArray


class Table(NamedTuple):
    """The dynamic programme of one guide."""

    stage: FloatArray
    """(n_types, n_positions, n_positions) at [type, start, stop]; infinity where none can be."""
    hop: FloatArray
    """(n_types + 1, n_types + 1, n_positions) at [source, target, position]; infinity where none can be."""
    is_peak: bool
    """Whether the largest counts, not the sum."""
    before: FloatArray
    """(n_rows, n_positions) least rest when the last device has its input, at a position."""
    after: FloatArray
    """(n_rows, n_positions) least rest when the last device has computed up to a position."""


class Guides(NamedTuple):
    """Least rests in one box, within rounding; devices already used are not used again."""

    before: FloatArray
    """(n_rows, n_positions, n_guides) when the last device has its input, at a position."""
    after: FloatArray
    """(n_rows, n_positions, n_guides) when the last device has computed up to a position."""
    weights: FloatArray
    """(n_guides, n_figures) of the sums; 0 for those of a peak."""
    peak: IntArray
    """(n_guides,) the figure of those of a peak; -1 for those of sums."""


class Gaps(NamedTuple):
    """Where plans are still wanted: those below all thresholds of some gap."""

    thresholds: FloatArray
    """(n_blocks · BLOCK, n_guides) of each gap; minus infinity where there is none."""
    largest: FloatArray
    """(n_blocks, n_guides) over the gaps of each block."""
    limits: FloatArray
    """(2, n_guides) what no plan may exceed, whatever the accuracy; and the largest over all gaps."""


class Box(NamedTuple):
    """One compiled pass."""

    costs: Costs
    guides: Guides
    gaps: Gaps
    floor: float
    """The swept peak of every plan of the box is at least this."""
    cap: float
    """… and at most this; infinity where no peak is swept."""
    swept: int
    """The figure that is swept: the last one; -1 where none is."""
    allowance: float
    """1 + accuracy."""
    lenience: float
    """The most by which a label may stand for others that are better."""
    is_hard: IntArray
    """(n_figures,) 1 where a label may stand for no other that is better in this figure."""
    scratch: FloatArray
    """(3, n) figures of an arrival, figures of a label, and what its guides say."""


class Labels(NamedTuple):
    """Partial plans: each ends with a stage. All but `heads` are (capacity, …)."""

    figures: FloatArray
    """(capacity, n_figures), exact, summed in the order of the flow."""
    spent: FloatArray
    """Factor, 1 or more, by which a plan that was dropped for one of this label may be better in a sum."""
    row: IndexArray
    position: IndexArray
    parent: IndexArray
    """The label before the last stage, or -1."""
    link: IndexArray
    """The next label of the same row and position, or -1."""
    heads: IndexArray
    """(n_rows, n_positions) first label of a row and position; -1 everywhere between passes."""
