"""PyTorch RPC as a baseline: torch eager, TensorPipe, the client calls the first half and hands its answer on by name.

Written as PyTorch's own example of a pipeline over RPC: what the first half makes stays there as a remote reference,
and the second half fetches it. The lock keeps a half to one request at a time, as the example does.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.distributed import rpc

from benchmarks._baseline_process import LOOPBACK, Workers, answer, each_line
from benchmarks._baseline_torch import torch_half, use_one_thread
from benchmarks._pipeline_contest import Contestant, Run, keep_in_flight
from coordinator.loadgen import Workload

_CLIENT = "client"
_N_CALLS = 16
"""Calls that a process takes at once: torch's default."""


class _Half:
    """The half of the model that this process holds. One for each process: remote calls name functions of a module."""

    def __init__(self) -> None:
        self.module: torch.nn.Module | None = None
        self.lock = threading.Lock()

    def run(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.module is None:
            raise RuntimeError("This process holds no half of the model.")
        with self.lock, torch.no_grad():
            output: torch.Tensor = self.module(tensor)
            return output


_half = _Half()


def run_first(tensor: torch.Tensor) -> torch.Tensor:
    """Called in the first process."""
    return _half.run(tensor)


def run_last(made: "rpc.RRef[torch.Tensor]") -> torch.Tensor:
    """Called in the last process, which fetches what the first one made."""
    return _half.run(made.to_here())


class RpcBaseline(Contestant):
    """The client: asks the first process for a reference and the last one for the outputs."""

    name = "rpc"

    def __init__(self, workload: Workload, workers: Workers) -> None:
        self._workload = workload
        self._workers = workers
        (self._input,) = workload.inputs[0]
        (self._output,) = workload.expected[0]

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`."""
        return keep_in_flight(self._send, self._receive, self._workload, window=window, seconds=seconds)

    def at_rest(self) -> AbstractContextManager[None]:
        """As `Contestant.at_rest`: TensorPipe polls while it waits, each process for a third of a core."""
        return self._workers.frozen()

    def _send(self, inputs: Mapping[str, np.ndarray]) -> Any:
        made = rpc.remote("0", run_first, args=(torch.from_numpy(inputs[self._input]),))
        return rpc.rpc_async("1", run_last, args=(made,))

    def _receive(self, future: Any) -> dict[str, np.ndarray]:
        return {self._output: future.wait().numpy()}


@contextmanager
def rpc_baseline(name: str, n_blocks: int, workload: Workload, cores: Sequence[int]) -> Iterator[RpcBaseline]:
    """Two processes with a half of the model each, and this one as the client of both."""
    with TemporaryDirectory(prefix="splitfront-") as folder:
        meeting = str(Path(folder) / "meeting")
        arguments = {core: (name, str(n_blocks), str(index), meeting) for index, core in enumerate(cores)}
        with Workers(__spec__.name, arguments) as workers:
            _join(_CLIENT, len(cores), len(cores) + 1, meeting)
            workers.hear()
            yield RpcBaseline(workload, workers)
            workers.tell(["end"] * len(cores))
            rpc.shutdown()


def serve(arguments: Sequence[str]) -> None:
    """One process: answers calls until it is told to end."""
    name, n_blocks, index, meeting = arguments
    use_one_thread()
    _half.module = torch_half(name, int(n_blocks), int(index))
    _join(index, int(index), 3, meeting)
    answer("ready")
    each_line(lambda _: rpc.shutdown())


def _join(name: str, rank: int, n_processes: int, meeting: str) -> None:
    os.environ.update(LOOPBACK)
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=_N_CALLS, init_method=f"file://{meeting}")
    rpc.init_rpc(name, rank=rank, world_size=n_processes, rpc_backend_options=options)
