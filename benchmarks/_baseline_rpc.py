"""PyTorch RPC as a baseline: torch eager, TensorPipe, the client calls the first half and hands its answer on by name.

Written as PyTorch's own example of a pipeline over RPC: what the first half makes stays there as a remote reference,
and the second half fetches it. The lock keeps a half to one request at a time, as the example does.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.distributed import rpc

from benchmarks._baseline_process import LOOPBACK, Workers, answer, each_line
from benchmarks._baseline_torch import torch_half, use_one_thread
from benchmarks._baseline_workload import INPUT, OUTPUT, load_workload, save_workload
from benchmarks._pipeline_contest import Contestant, Run, keep_in_flight
from coordinator.loadgen import Workload

_CLIENT = "client"
_N_PROCESSES = 3
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
    """Tells the client, a process of its own, what to run."""

    name = "rpc"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`."""
        self._workers.tell([f"{window} {seconds}"] * _N_PROCESSES)
        rate, latency = map(float, self._workers.hear()[-1].split())
        return Run(requests_per_second=rate, latency_seconds=latency)

    def at_rest(self) -> AbstractContextManager[None]:
        """As `Contestant.at_rest`: TensorPipe polls while it waits, each process for a third of a core."""
        return self._workers.frozen()


@contextmanager
def rpc_baseline(name: str, n_blocks: int, workload: Workload, cores: Sequence[int]) -> Iterator[RpcBaseline]:
    """Two processes with a half of the model each, and the client of both."""
    with TemporaryDirectory(prefix="splitfront-") as folder:
        save_workload(workload, Path(folder))
        arguments = {core: (name, str(n_blocks), str(index), folder) for index, core in enumerate(cores)}
        with Workers(__spec__.name, arguments, free=(name, str(n_blocks), _CLIENT, folder)) as workers:
            workers.hear()
            yield RpcBaseline(workers)


def serve(arguments: Sequence[str]) -> None:
    """One process: a half of the model, or the client."""
    name, n_blocks, index, folder = arguments
    use_one_thread()
    if index != _CLIENT:
        _half.module = torch_half(name, int(n_blocks), int(index))
    os.environ.update(LOOPBACK)
    options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=_N_CALLS, init_method=f"file://{folder}/meeting")
    rank = _N_PROCESSES - 1 if index == _CLIENT else int(index)
    rpc.init_rpc(index, rank=rank, world_size=_N_PROCESSES, rpc_backend_options=options)
    answer("ready")
    act = partial(_run_client, load_workload(Path(folder))) if index == _CLIENT else lambda _line: answer("ready")
    each_line(act)
    rpc.shutdown()


def _run_client(workload: Workload, line: str) -> None:
    """Asks the first process for a reference and the last one for the outputs."""
    window, seconds = line.split()

    def send(inputs: Mapping[str, np.ndarray]) -> Any:
        made = rpc.remote("0", run_first, args=(torch.from_numpy(inputs[INPUT]),))
        return rpc.rpc_async("1", run_last, args=(made,))

    def receive(future: Any) -> dict[str, np.ndarray]:
        return {OUTPUT: future.wait().numpy()}

    run = keep_in_flight(send, receive, workload, window=int(window), seconds=float(seconds))
    answer(f"{run.requests_per_second} {run.latency_seconds}")
