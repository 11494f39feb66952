"""Ours beside each baseline, by the name of the baseline."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from benchmarks._figures import Figure
from benchmarks._pipeline_contest import Contestant, Effort, Promise, contest
from benchmarks._pipeline_fleet import our_pipeline
from benchmarks._pipeline_split import BASELINE_BLOCKS, SPLITS, check_split
from coordinator.loadgen import Workload, make_workload
from partitioner.onnx_io import Model, load_model

CORES = (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """Ours and a baseline on one model at one batch."""

    baseline: str
    model: str
    batch: int
    promise: Promise
    is_own_split: bool = False
    """The baseline is cut where it is balanced, ours where ours is."""

    @property
    def label(self) -> str:
        """Begins the names of its figures."""
        return f"{self.baseline}_{self.model}_batch_{self.batch}" + ("_own_split" if self.is_own_split else "")


NOTHING = Promise()
DUELS = (
    Duel(baseline="pickle", model="mobilenet_v2", batch=1, promise=Promise(throughput=2.2, latency=0.45)),
    Duel(baseline="pickle", model="mobilenet_v2", batch=8, promise=Promise(throughput=4.0)),
    Duel(baseline="pickle", model="mobilenet_v2", batch=8, promise=NOTHING, is_own_split=True),
    Duel(baseline="pickle", model="resnet18", batch=1, promise=Promise(throughput=1.6, latency=0.65)),
    Duel(baseline="pickle", model="resnet18", batch=1, promise=NOTHING, is_own_split=True),
    Duel(baseline="pickle", model="resnet18", batch=8, promise=Promise(throughput=1.6)),
    Duel(baseline="pickle", model="resnet18", batch=8, promise=NOTHING, is_own_split=True),
    Duel(baseline="rpc", model="resnet18", batch=1, promise=Promise(throughput=1.5)),
    Duel(baseline="pipelining", model="resnet18", batch=1, promise=Promise(throughput=1.5)),
    Duel(baseline="ray", model="resnet18", batch=1, promise=Promise(throughput=1.2)),
)


def reason_to_skip(baseline: str) -> str | None:
    """Why a baseline cannot be run here; None where it can."""
    needed = "ray" if baseline == "ray" else "torch"
    if find_spec(needed) is None:
        return f"{needed} is not installed"
    if baseline == "ray":
        return None
    from torch import distributed  # noqa: PLC0415 - after it is known to be there

    if baseline != "pickle" and not distributed.is_available():
        return "this torch is built without torch.distributed"
    if baseline == "rpc" and not distributed.rpc.is_available():
        return "this torch is built without torch.distributed.rpc"
    return None


def fight(duel: Duel, effort: Effort) -> list[Figure]:
    """Figures of a duel."""
    model = load_model(duel.model, batch=duel.batch)
    workload = make_workload(model, seed=0)
    split = SPLITS[duel.model]
    with (
        our_pipeline(model, split.point, workload, CORES, effort.plane) as ours,
        _baseline(duel, model, workload) as baseline,
    ):
        return contest(duel.label, ours, baseline, duel.promise, effort, batch=duel.batch)


@contextmanager
def _baseline(duel: Duel, model: Model, workload: Workload) -> Iterator[Contestant]:
    split = SPLITS[duel.model]
    if duel.baseline == "ray":
        from benchmarks._baseline_ray import ray_baseline  # noqa: PLC0415 - not installed everywhere

        with ray_baseline(model, split.point, workload, CORES) as baseline:
            yield baseline
        return
    from benchmarks._baseline_torch import torch_boundary  # noqa: PLC0415 - torch takes seconds

    inputs = workload.inputs[0]
    check_split(model, split, inputs, torch_boundary(duel.model, split.n_blocks, inputs))
    n_blocks = BASELINE_BLOCKS[duel.model, duel.batch] if duel.is_own_split else split.n_blocks
    with _torch_baseline(duel.baseline)(duel.model, n_blocks, workload, CORES) as baseline:
        yield baseline


def _torch_baseline(name: str) -> Callable[..., AbstractContextManager[Contestant]]:
    if name == "pickle":
        from benchmarks._baseline_pickle import pickle_baseline  # noqa: PLC0415

        return pickle_baseline
    if name == "rpc":
        from benchmarks._baseline_rpc import rpc_baseline  # noqa: PLC0415

        return rpc_baseline
    from benchmarks._baseline_pipelining import pipelining_baseline  # noqa: PLC0415

    return pipelining_baseline
