"""What is sent and what is expected, on its way to a baseline's processes; models with one input and one output."""

from pathlib import Path

import numpy as np

from coordinator.loadgen import Workload

INPUT, OUTPUT = "input", "output"
"""Names that the tensors have there."""
_INPUTS, _OUTPUTS = "inputs.npy", "outputs.npy"


def save_workload(workload: Workload, folder: Path) -> None:
    """Into files of `folder`."""
    for name, tensors in ((_INPUTS, workload.inputs), (_OUTPUTS, workload.expected)):
        np.save(folder / name, np.stack([tensor for named in tensors for tensor in named.values()]))


def load_workload(folder: Path) -> Workload:
    """What `save_workload` left there."""
    inputs, outputs = (np.load(folder / name) for name in (_INPUTS, _OUTPUTS))
    return Workload(
        inputs=tuple({INPUT: tensor} for tensor in inputs), expected=tuple({OUTPUT: tensor} for tensor in outputs)
    )
