"""The arrays of the exact engine. They belong to the caller of its compiled loops and are filled in place.

A row is a pair (used, last): how many devices of each type are used, and the type of the last stage's. A type is that
of a device or of a crew, which uses several of the devices at once. Positions are indices into the allowed ones; the
client is the type n_types.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from partitioner.front import BoolArray, FloatArray, IntArray

IndexArray = npt.NDArray[np.int32]


class Chain(NamedTuple):
    """The problem."""

    seconds: FloatArray
    """(n_types, n_positions, n_positions) at [type, start, stop]; infinity where no stage can be."""
    work: FloatArray
    """Like `seconds`: for how long a request keeps each device busy; a crew shares the requests out."""
    sums: FloatArray
    """(n_types, n_positions) s where seconds[a, b] = s[b] - begins[a], for types that are additive."""
    begins: FloatArray
    """(n_types, n_positions); differs from `sums` by a constant, and by what a stage takes for the bytes it moves."""
    is_additive: BoolArray
    """(n_types,); the others are scanned stop by stop."""
    is_steady: BoolArray
    """(n_types,) whether a longer stage never keeps a device less busy."""
    hops: FloatArray
    """(n_types + 1, n_types + 1, n_positions) seconds at [source, target, position]; a pin forbids other ends."""
    busy: FloatArray
    """Like `hops`: for how long the link is busy."""
    type_of: IntArray
    """(n_rows,) the last type of each row."""
    next_row: IntArray
    """(n_rows, n_types) the row after one more stage of a type; -1 where no device is left or stages are too many."""
    first_row: IntArray
    """(n_types,) the row of one stage of the type."""
    edges: IntArray
    """(n_groups + 1,) where the rows of one type and number of used devices begin; fewer devices come first."""


class Rest(NamedTuple):
    """Least seconds still to come under a bound, within rounding; devices already used are not used again."""

    before: FloatArray
    """(n_rows, n_positions) until the client has the answer, when the last device has its input, at a position."""
    after: FloatArray
    """(n_rows, n_positions) the same when the last device has computed up to a position."""
    reach: IntArray
    """(n_types, n_positions) last stop of a stage from each position; the position itself where there is none."""
    clear: IntArray
    """(n_types, n_positions) to every stop up to here there can be a stage; later positions have no lower one."""


class Labels(NamedTuple):
    """Partial plans: each ends with a stage. All but `heads` are (capacity,)."""

    latency: FloatArray
    """Exact, summed in the order of the flow."""
    peak: FloatArray
    """Seconds for which the busiest resource so far is busy."""
    row: IndexArray
    position: IndexArray
    parent: IndexArray
    """The label before the last stage, or -1."""
    link: IndexArray
    """The next label of the same row and position, or -1."""
    is_alive: BoolArray
    """False for those that another label dominates."""
    heads: IndexArray
    """(n_rows, n_positions) first label of a row and position; -1 everywhere between calls."""
