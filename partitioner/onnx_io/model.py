"""A loaded model: its graph, its shards, its weights, and the whole of it to compare with."""

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort

from partitioner.errors import ModelError
from partitioner.graph import Graph
from partitioner.onnx_io.cut import cut_span
from partitioner.onnx_io.layout import Layout
from partitioner.onnx_io.reader import SourceModel
from partitioner.onnx_io.sample import sample_inputs
from partitioner.onnx_io.session import open_session, run_session
from partitioner.shard import Shard


class Model:
    """A network bound to sizes. Made by `load_model`; may be used from several threads."""

    def __init__(self, source: SourceModel, layout: Layout) -> None:
        self._source = source
        self._layout = layout
        self._shards: dict[tuple[int, int], Shard] = {}
        self._lock = threading.Lock()
        self._answers: dict[int, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = {}

    @property
    def graph(self) -> Graph:
        """Layers, units and tensors."""
        return self._layout.graph

    @property
    def given_inputs(self) -> Mapping[str, np.ndarray]:
        """Arrays of the inputs that the model was loaded with; empty where none were given."""
        return self._layout.given

    def cut(self, start: int, stop: int) -> Shard:
        """Units [start, stop) as an ONNX graph. Equal spans give equal bytes; each is cut once.

        Raises:
            PlanError: The span is empty or reaches beyond the units.
        """
        with self._lock:
            if (start, stop) not in self._shards:
                self._shards[start, stop] = cut_span(self._layout, start, stop)
            return self._shards[start, stop]

    def whole_shard(self) -> Shard:
        """All units as one shard."""
        return self.cut(0, self.graph.n_units)

    def read_blob(self, sha256: str) -> bytes:
        """Bytes of a weight that a shard refers to, read from the model's file where they lie there.

        Raises:
            ModelError: No weight of the model has this digest.
        """
        try:
            return self._source.store.read(sha256)
        except KeyError as exc:
            raise ModelError(f"{self.graph.name} has no weight with digest {sha256}") from exc

    def place_shard(self, shard: Shard, folder: Path) -> Path:
        """Lays a shard out in `folder` as a node does, files named by digest, and returns the path of its graph.

        Blobs that are files of the export cache are linked, not copied, where the file system can.
        """
        for blob in shard.blobs:
            self._source.store.place(blob.sha256, folder)
        path = folder / shard.sha256
        path.write_bytes(shard.graph)
        return path

    def sample_inputs(self, seed: int) -> dict[str, np.ndarray]:
        """Values for every input, those that no layer reads included.

        Where inputs were given, they are it for every seed, otherwise random ones; see `sample.sample_inputs`.
        """
        return dict(self._layout.given) or sample_inputs(self._layout.proto.graph, seed)

    def sample_answers(self, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """`sample_inputs` of a seed, and what the whole model answers to them. Remembered, so not to be changed."""
        if seed not in self._answers:
            inputs = self.sample_inputs(seed)
            self._answers[seed] = inputs, self.run_whole(inputs)
        return self._answers[seed]

    def run_whole(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of the model as it was given, not of anything that was cut from it.

        Args:
            inputs: Array of each input, in its shape and element type. Those that no layer reads may be left out.

        Raises:
            ModelError: An input is missing, unknown, or of another shape or type.
        """
        return run_session(self._session, self.graph.outputs, self._complete(inputs), what=self.graph.name)

    @cached_property
    def _session(self) -> ort.InferenceSession:
        return open_session(self._source.path, what=self.graph.name)

    def _complete(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inputs, checked, with zeros for those that nobody reads."""
        unknown = sorted(inputs.keys() - set(self.graph.inputs))
        if unknown:
            raise ModelError(
                f"{self.graph.name} has no input {unknown[0]!r}; its inputs are {', '.join(self.graph.inputs)}"
            )
        complete = dict(self._layout.fixed)
        for name in self.graph.inputs:
            spec = self.graph.spec_of[name]
            if name not in inputs and name not in self.graph.boundaries[0]:
                complete[name] = np.zeros(spec.shape, spec.dtype)
            elif name not in inputs:
                raise ModelError(
                    f"{self.graph.name} wants input {name!r} ({spec.dtype} {spec.shape}), which is missing"
                )
            elif inputs[name].shape != spec.shape or inputs[name].dtype.name != spec.dtype:
                raise ModelError(
                    f"{self.graph.name} wants input {name!r} as {spec.dtype} {spec.shape}, "
                    f"not {inputs[name].dtype.name} {inputs[name].shape}"
                )
            else:
                complete[name] = inputs[name]
        return complete
