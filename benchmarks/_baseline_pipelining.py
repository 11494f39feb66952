"""torch.distributed.pipelining as a baseline: torch eager, gloo, GPipe's schedule without its backward half.

Its window is the number of micro-batches of a step. It has no client: the first process has the inputs, the last one
keeps the outputs and compares them, so that it is spared both hops that the others have.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import distributed
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

from benchmarks._baseline_process import Workers, answer, each_line
from benchmarks._baseline_torch import torch_half, use_one_thread
from benchmarks._baseline_workload import INPUT, OUTPUT, load_workload, save_workload
from benchmarks._pipeline_contest import MIN_REQUESTS, Contestant, Run, steady_rate
from coordinator.loadgen import Workload
from coordinator.output_gate import EXACT

_TRIAL_STEPS = 3


class PipeliningBaseline(Contestant):
    """Tells both processes how many steps to do; the last one tells how long each took."""

    name = "pipelining"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._step_seconds: dict[int, float] = {}
        """By micro-batches of a step."""

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`, by whole steps."""
        if window not in self._step_seconds:
            self._step_seconds[window] = window / self._steps(window, _TRIAL_STEPS)
        n_steps = max(round(seconds / self._step_seconds[window]), 1 + MIN_REQUESTS // window)
        return Run(requests_per_second=self._steps(window, n_steps), latency_seconds=None)

    def _steps(self, window: int, n_steps: int) -> float:
        """Requests per second."""
        self._workers.tell([f"{window} {n_steps}"] * 2)
        moments = [float(moment) for moment in self._workers.hear()[-1].split()]
        return window * steady_rate(moments, 1)


@contextmanager
def pipelining_baseline(
    name: str, n_blocks: int, workload: Workload, cores: Sequence[int]
) -> Iterator[PipeliningBaseline]:
    """Two processes with a half of the model each."""
    with TemporaryDirectory(prefix="splitfront-") as folder:
        save_workload(workload, Path(folder))
        arguments = {core: (name, str(n_blocks), str(index), folder) for index, core in enumerate(cores)}
        with Workers(__spec__.name, arguments) as workers:
            workers.hear()
            yield PipeliningBaseline(workers)


def serve(arguments: Sequence[str]) -> None:
    """One process: does as many steps as each line says."""
    name, n_blocks, index, folder = arguments
    use_one_thread()
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=int(index), world_size=2)
    half = _Half(torch_half(name, int(n_blocks), int(index)), int(index), Path(folder))
    answer("ready")
    each_line(lambda line: answer(half.steps(*map(int, line.split()))))
    distributed.destroy_process_group()


class _Half:
    """The half of the model that this process holds."""

    def __init__(self, module: torch.nn.Module, index: int, folder: Path) -> None:
        self._module = module
        self._index = index
        self._workload = load_workload(folder)

    def steps(self, n_micro_batches: int, n_steps: int) -> str:
        """When each step ended, by the clock of `time.perf_counter`."""
        stage = PipelineStage(self._module, self._index, 2, torch.device("cpu"))
        schedule = ScheduleGPipe(stage, n_micro_batches)
        inputs, outputs = self._workload.inputs, self._workload.expected
        turns = [number % len(inputs) for number in range(n_micro_batches)]
        batch = torch.from_numpy(np.concatenate([inputs[turn][INPUT] for turn in turns]))
        expected = np.concatenate([outputs[turn][OUTPUT] for turn in turns])
        moments = []
        for _ in range(n_steps + 1):  # the first tells the shapes
            made = schedule.eval(batch) if self._index == 0 else schedule.eval()
            if self._index:
                EXACT.check({OUTPUT: made.numpy()}, {OUTPUT: expected})
            moments.append(time.perf_counter())
        return " ".join(f"{moment:.7f}" for moment in moments)
