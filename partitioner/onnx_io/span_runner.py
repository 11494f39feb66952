"""Spans of a model as functions of tensors, for trials on this machine."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from partitioner.onnx_io.model import Model
from partitioner.onnx_io.session import open_session, run_session

Tensors = Mapping[str, np.ndarray]


class SpanRunner:
    """Makes spans of a model runnable; their weights lie in one folder, each once."""

    def __init__(self, model: Model, folder: Path) -> None:
        self._model = model
        self._folder = folder

    def open(self, start: int, stop: int) -> Callable[[Tensors], dict[str, np.ndarray]]:
        """A function from the boundary at `start` to the one at `stop`; the session lives as long as it does.

        Raises:
            UnsupportedModelError: onnxruntime refuses the span; the function does so where it fails on its tensors.
        """
        if start == stop:
            return dict
        shard = self._model.cut(start, stop)
        what = f"Shard [{start}:{stop}) of {self._model.graph.name!r}"
        session = open_session(self._model.place_shard(shard, self._folder), what=what)
        reads = [value.name for value in session.get_inputs()]
        makes = [value.name for value in session.get_outputs()]

        def run(received: Tensors) -> dict[str, np.ndarray]:
            made = run_session(session, makes, {name: received[name] for name in reads}, what=what)
            return {spec.name: made[spec.name] if spec.name in made else received[spec.name] for spec in shard.sends}

        return run
