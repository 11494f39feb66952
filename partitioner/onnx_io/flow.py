"""Tensors between groups of layers that are never split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partitioner.onnx_io.wiring import Wiring

Group = tuple[int, ...]
"""Indices of layers that are never split, in the model's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Tensors between groups."""

    reads: tuple[tuple[str, ...], ...]
    """Tensors from outside that each group reads."""
    writes: tuple[tuple[str, ...], ...]
    """Tensors of each group that others read or that are outputs."""
    readers: dict[str, int]
    """Number of groups that read a tensor; the client counts as one for an output."""
    n_bytes: Mapping[str, int]
    n_awaited: tuple[int, ...]
    """Number of groups that each group waits for."""
    followers: tuple[tuple[int, ...], ...]
    """Groups that wait for each group."""


def flow_between(groups: Sequence[Group], wiring: Wiring, n_bytes: Mapping[str, int], outputs: Sequence[str]) -> Flow:
    """What flows between the groups.

    Args:
        groups: Cover all layers.
        wiring: Of the layers.
        n_bytes: Size of each tensor that may cross a split point.
        outputs: Of the model.
    """
    made = [{name for layer in group for name in wiring.writes[layer]} for group in groups]
    reads = [dict.fromkeys(name for layer in group for name in wiring.reads[layer]) for group in groups]
    outside = [tuple(name for name in names if name not in own) for names, own in zip(reads, made, strict=True)]
    readers = dict.fromkeys(outputs, 1)
    for names in outside:
        for name in names:
            readers[name] = readers.get(name, 0) + 1
    writes = [tuple(name for layer in group for name in wiring.writes[layer] if readers.get(name)) for group in groups]
    followers = _followers(outside, writes)
    n_awaited = Counter(follower for following in followers for follower in following)
    return Flow(
        reads=tuple(outside),
        writes=tuple(writes),
        readers=readers,
        n_bytes=n_bytes,
        n_awaited=tuple(n_awaited[group] for group in range(len(groups))),
        followers=followers,
    )


def _followers(reads: Sequence[Sequence[str]], writes: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    """Groups that read what each group makes, each once."""
    maker = {name: group for group, names in enumerate(writes) for name in names}
    followers: list[dict[int, None]] = [{} for _ in reads]
    for group, names in enumerate(reads):
        for name in names:
            if name in maker:
                followers[maker[name]][group] = None
    return tuple(tuple(groups) for groups in followers)
