import operator
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks._dask_cluster import dask_cluster
from benchmarks._sweep_model import chain_model
from coordinator.errors import WorkersError
from coordinator.sweep.predicting import predict_sweep
from coordinator.sweep.workers import open_workers
from partitioner.search.robust.network import random_conditions

ROOT = Path(__file__).parents[3]


def scaled(shared, item):
    """At the top of a module, as workers want it."""
    if item < 0:
        raise ValueError(f"item {item}")
    return shared["factor"] * item, os.getpid()


@pytest.fixture(scope="module")
def processes():
    with open_workers(2) as workers:
        yield workers


def test_processes_are_sent_what_is_shared_and_give_each_item_once(processes):
    for factor in (2, 3):
        found = dict(processes.run(scaled, {"factor": factor}, range(20)))
        assert {index: result for index, (result, _) in found.items()} == {n: factor * n for n in range(20)}
        assert os.getpid() not in {process for _, process in found.values()}


def test_what_a_worker_raises_is_raised_here_and_the_workers_go_on(processes):
    with pytest.raises(ValueError, match="item -1"):
        list(processes.run(scaled, {"factor": 1}, [1, -1, 2]))
    assert len(list(processes.run(scaled, {"factor": 1}, [1, 2]))) == 2


def test_processes_give_the_same_numbers(processes, swept):
    model, conditions, here = swept
    assert predict_sweep(model, conditions, workers=processes) == here


@pytest.fixture(scope="module")
def swept():
    """Several parts of conditions, and what this process finds."""
    model = chain_model(3, 8)
    conditions = random_conditions(model.cluster, 70, seed=2)
    return model, conditions, predict_sweep(model, conditions)


def test_one_process_is_this_one():
    with open_workers(1) as workers:
        assert list(workers.run(scaled, {"factor": 5}, [4])) == [(0, (20, os.getpid()))]


@pytest.mark.parametrize("wrong", [{"n_processes": 0}, {"n_processes": 2, "scheduler": "tcp://127.0.0.1:1"}])
def test_workers_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ValueError, match="Workers are"), open_workers(**wrong):
        pass


def test_processes_do_not_outlive_a_killed_parent(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(
        "import os, sys\n"
        "from coordinator.sweep.workers import open_workers\n"
        "def whoami(shared, item):\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    with open_workers(2) as workers:\n"
        "        print(*{process for _, process in workers.run(whoami, None, range(8))}, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    with parent:
        children = [psutil.Process(int(process)) for process in parent.stdout.readline().split()]
        assert children
        parent.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    pytest.importorskip("distributed")
    with dask_cluster(2, tmp_path_factory.mktemp("dask")) as address:
        yield address


def test_dask_workers_give_the_same_numbers(dask, swept):
    model, conditions, here = swept
    told = []
    with open_workers(scheduler=dask) as workers:
        found = predict_sweep(model, conditions, workers=workers, on_progress=lambda share, _: told.append(share))
    assert found == here
    assert told == sorted(told)


def test_dask_workers_raise_here_what_they_raise(dask):
    with open_workers(scheduler=dask) as workers, pytest.raises(IndexError, match="out of range"):
        list(workers.run(operator.getitem, ["a"], [0, 1]))


def test_dask_workers_without_what_is_to_be_run_are_told_of(dask):
    told = pytest.raises(WorkersError, match="need this version of splitfront")
    with open_workers(scheduler=dask) as workers, told:
        list(workers.run(scaled, {"factor": 1}, [1]))


def test_a_scheduler_that_is_not_there_is_told(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("coordinator.sweep.dask_door.CONNECT_SECONDS", 0.5)
    told = r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'.*dask scheduler"
    with pytest.raises(WorkersError, match=told), open_workers(scheduler="tcp://127.0.0.1:9"):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers_is_told(tmp_path):
    pytest.importorskip("distributed")
    told = pytest.raises(WorkersError, match="has no workers: start `dask worker")
    with dask_cluster(0, tmp_path) as address, told, open_workers(scheduler=address):
        pass
