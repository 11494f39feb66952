"""Ray actors as a baseline: the same ONNX shards in the same runtime, so that only the moving of tensors differs.

Ray is in no extra of this project: the benchmark says so and goes on where it is not installed.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import ray

from benchmarks._baseline_process import pin_to
from benchmarks._pipeline_contest import Contestant, Run, keep_in_flight
from coordinator.loadgen import ANSWER_SECONDS, Workload
from partitioner.onnx_io import Model, cut_plan

_STORE_BYTES = 256 << 20
_NO_TELEMETRY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


class _Shard:
    """An actor: one shard on one core."""

    def __init__(self, path: str, core: int) -> None:
        pin_to(core)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [value.name for value in self._session.get_inputs()]

    def run(self, *tensors: np.ndarray) -> np.ndarray:
        """The one tensor that the shard sends."""
        output: np.ndarray = self._session.run(None, dict(zip(self._inputs, tensors, strict=True)))[0]
        return output


class RayBaseline(Contestant):
    """The client: the first actor's answer goes to the last one by reference, as Ray's pipelines do."""

    name = "ray"

    def __init__(self, workload: Workload, actors: Sequence[Any]) -> None:
        self._workload = workload
        self._actors = actors
        (self._input,) = workload.inputs[0]
        (self._output,) = workload.expected[0]

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`."""
        return keep_in_flight(self._send, self._receive, self._workload, window=window, seconds=seconds)

    def _send(self, inputs: Mapping[str, np.ndarray]) -> Any:
        reference = inputs[self._input]
        for actor in self._actors:
            reference = actor.run.remote(reference)
        return reference

    def _receive(self, reference: Any) -> dict[str, np.ndarray]:
        return {self._output: ray.get(reference, timeout=ANSWER_SECONDS)}


@contextmanager
def ray_baseline(model: Model, point: int, workload: Workload, cores: Sequence[int]) -> Iterator[RayBaseline]:
    """One actor for each shard, pinned."""
    os.environ.update(_NO_TELEMETRY)
    ray.init(
        num_cpus=len(cores) + 1,
        object_store_memory=_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        with TemporaryDirectory(prefix="splitfront-") as folder:
            paths = [str(model.place_shard(shard, Path(folder))) for shard in cut_plan(model, [point])]
            actor = ray.remote(_Shard)
            actors = [actor.remote(path, core) for path, core in zip(paths, cores, strict=True)]
            ray.get([each.__ray_ready__.remote() for each in actors])
            yield RayBaseline(workload, actors)
    finally:
        ray.shutdown()
