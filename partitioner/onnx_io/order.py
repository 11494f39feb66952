"""Groups layers that must stay together, and puts the groups in an order that keeps few bytes alive."""

import heapq
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from partitioner.onnx_io.beam import beam_order
from partitioner.onnx_io.flow import Flow, Group, flow_between
from partitioner.onnx_io.wiring import Wiring

_LOOK_AHEAD = 8
"""Steps that are looked ahead on a way without branches."""


def group_layers(wiring: Wiring, inner: Collection[str]) -> tuple[Group, ...]:
    """Layers joined by the tensors `inner`, and by whatever lies on a way out of a group and back into it."""
    n_layers = len(wiring.reads)
    joined = [(wiring.maker[name], reader) for name in inner for reader in wiring.readers.get(name, ())]
    fused = _components(joined, n_layers, connection="weak")
    edges = [
        (int(fused[wiring.maker[name]]), int(fused[reader]))
        for reader, names in enumerate(wiring.reads)
        for name in names
        if name in wiring.maker
    ]
    acyclic = _components(edges, n_layers, connection="strong")
    members: dict[int, list[int]] = {}
    for layer in range(n_layers):
        members.setdefault(int(acyclic[fused[layer]]), []).append(layer)
    return tuple(tuple(layers) for layers in members.values())


def _components(edges: Sequence[tuple[int, int]], n_vertices: int, *, connection: str) -> np.ndarray:
    """Label of each vertex's component."""
    from scipy.sparse import coo_array  # noqa: PLC0415  scipy loads slowly, and only here
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    sources, targets = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    matrix = coo_array((np.ones(len(edges), dtype=np.int8), (sources, targets)), shape=(n_vertices, n_vertices))
    return np.asarray(connected_components(matrix, directed=True, connection=connection)[1])


def order_groups(
    groups: Sequence[Group], wiring: Wiring, n_bytes: Mapping[str, int], inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[Group, ...]:
    """The groups in topological order, chosen so that the bytes alive, summed over positions, are least.

    Candidates: the exporter's order; depth first (finish a branch before the next); greedy, by the next step and by the
    steps on the way ahead; and a beam search, exact where few branches run beside each other.

    Args:
        groups: As `group_layers` returns them.
        wiring: Of the layers.
        n_bytes: Size of each tensor that may cross a split point.
        inputs: Of the model.
        outputs: Of the model.
    """
    flow = flow_between(groups, wiring, n_bytes, outputs)
    candidates = [
        _sweep(flow, inputs, lambda group, _: (groups[group][0],)),
        _sweep(flow, inputs, lambda group, state: (-state.newest_read(group), groups[group][0])),
        _sweep(flow, inputs, lambda group, state: (state.growth(group), groups[group][0])),
        _sweep(flow, inputs, lambda group, state: (state.outlook(group), groups[group][0])),
        *beam_order(flow, inputs),
    ]
    order, _ = min(candidates, key=lambda candidate: candidate[1])
    return tuple(groups[group] for group in order)


class _State:
    """What is alive in the middle of a sweep."""

    def __init__(self, flow: Flow, inputs: Sequence[str]) -> None:
        self._flow = flow
        self._unread = dict(flow.readers)
        self._born = dict.fromkeys(inputs, 0)
        self._clock = 0
        self.n_awaited = list(flow.n_awaited)
        """Groups that each group still waits for."""
        self.live_bytes = sum(flow.n_bytes.get(name, 0) for name in inputs if name in flow.readers)

    def newest_read(self, group: int) -> int:
        """When the youngest tensor that the group reads was made."""
        return max((self._born.get(name, 0) for name in self._flow.reads[group]), default=0)

    def growth(self, group: int) -> int:
        """Bytes by which the live set grows when the group runs next."""
        born = sum(self._flow.n_bytes.get(name, 0) for name in self._flow.writes[group])
        freed = sum(self._flow.n_bytes.get(name, 0) for name in self._flow.reads[group] if self._unread[name] == 1)
        return born - freed

    def outlook(self, group: int) -> float:
        """Bytes per step by which the live set grows at best on the way that leads on from the group alone."""
        total, best = 0, math.inf
        for n_steps in range(1, _LOOK_AHEAD + 1):
            total += self.growth(group)
            best = min(best, total / n_steps)
            following = self._flow.followers[group]
            if len(following) != 1 or self.n_awaited[following[0]] != 1:
                break
            group = following[0]
        return best

    def run(self, group: int) -> tuple[str, ...]:
        """Counts the group as done; returns the tensors of which a single reader is left, which will free them."""
        self.live_bytes += self.growth(group)
        self._clock += 1
        self._born.update(dict.fromkeys(self._flow.writes[group], self._clock))
        for name in self._flow.reads[group]:
            self._unread[name] -= 1
        return tuple(name for name in self._flow.reads[group] if self._unread[name] == 1)


def _sweep(
    flow: Flow, inputs: Sequence[str], rank: Callable[[int, _State], tuple[float, ...]]
) -> tuple[list[int], int]:
    """Topological order that always takes the ready group of least rank, and its sum of live bytes.

    The rank of a group that is ready must not grow; it may fall when a tensor that the group reads has no other reader
    left. Then the group is queued again, so that the queue has no more entries than there are edges.
    """
    readers = _readers(flow)
    state = _State(flow, inputs)
    n_awaited = state.n_awaited
    queue = [(rank(group, state), group) for group, n_before in enumerate(n_awaited) if not n_before]
    heapq.heapify(queue)
    done: set[int] = set()
    order, total = [], 0
    while queue:
        group = heapq.heappop(queue)[1]
        if group in done:
            continue
        done.add(group)
        changed = {reader for name in state.run(group) for reader in readers[name] if reader not in done}
        order.append(group)
        total += state.live_bytes
        for follower in flow.followers[group]:
            n_awaited[follower] -= 1
            changed.add(follower)
        for other in changed:
            if not n_awaited[other]:
                heapq.heappush(queue, (rank(other, state), other))
    return order, total


def _readers(flow: Flow) -> dict[str, list[int]]:
    readers: dict[str, list[int]] = {}
    for group, names in enumerate(flow.reads):
        for name in names:
            readers.setdefault(name, []).append(group)
    return readers
