"""A model as a chain of sessions, one for each unit, that can be entered at every position."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from partitioner.errors import ModelError
from partitioner.graph import Graph
from partitioner.onnx_io.model import Model
from partitioner.onnx_io.session import open_session, run_shard
from partitioner.shard import Shard

Tensors = Mapping[str, np.ndarray]
"""Values of a boundary, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """One unit."""

    shard: Shard
    session: ort.InferenceSession
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitChain:
    """Runs any part of a model. Holds the weights once, where sessions of all suffixes would read them n_units times.

    The same part run twice on equal values gives equal values. For one thread.
    """

    graph: Graph
    links: tuple[_Link, ...]

    def enter(self, inputs: Tensors) -> Tensors:
        """The boundary at position 0.

        Raises:
            ModelError: An input that a layer reads is missing.
        """
        missing = [name for name in self.graph.boundaries[0] if name not in inputs]
        if missing:
            raise ModelError(f"{self.graph.name} wants input {missing[0]!r}; got {', '.join(inputs) or 'none'}")
        return {name: inputs[name] for name in self.graph.boundaries[0]}

    def step(self, position: int, boundary: Tensors) -> Tensors:
        """The boundary at `position + 1`, from that at `position`.

        Raises:
            UnsupportedModelError: onnxruntime fails on these values.
        """
        link = self.links[position]
        return run_shard(link.session, link.shard, boundary, what=link.what)

    def finish(self, position: int, boundary: Tensors) -> Tensors:
        """The model's outputs, from the boundary at `position`.

        Raises:
            UnsupportedModelError: onnxruntime fails on these values.
        """
        for index in range(position, len(self.links)):
            boundary = self.step(index, boundary)
        return boundary


@contextmanager
def open_chain(model: Model) -> Iterator[UnitChain]:
    """All units of a model, opened from files as on a node, for as long as the context lasts.

    Raises:
        UnsupportedModelError: onnxruntime refuses a unit.
    """
    graph = model.graph
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        yield UnitChain(graph=graph, links=tuple(_open(model, index, Path(folder)) for index in range(graph.n_units)))


def _open(model: Model, index: int, folder: Path) -> _Link:
    shard = model.cut(index, index + 1)
    what = f"Unit {index} of {model.graph.name!r}"
    return _Link(shard=shard, session=open_session(model.place_shard(shard, folder), what=what), what=what)
