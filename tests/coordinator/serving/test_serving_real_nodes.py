"""Services on real agents: processes that are killed, frozen, cut off, reset and started again."""

from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from serving_fakes import wait_until

from coordinator.config import parse_cluster
from coordinator.fleet import connect_fleet
from coordinator.loadgen import run_load
from coordinator.output_gate import EXACT
from coordinator.serving import events as kinds
from coordinator.serving.patience import Patience
from coordinator.serving.replanning import Replanner
from coordinator.serving.service import serve_plan
from node_agent.errors import NodeError, RequestRejectedError
from partitioner.plan import Stage

STEADY = Patience(for_settling=3600.0)
"""No switch back while a test looks."""
FAULTS = ("SIGKILL", "SIGSTOP", "traffic dropped", "connection reset", "restarted empty")
QUICKEST_SECONDS = {"SIGKILL": 2.0, "SIGSTOP": 6.0, "traffic dropped": 6.0}
"""Within which a fault is noticed, with room for a machine that is busy: the benchmark measures."""


@contextmanager
def serving(ground, *, n_first=0, **options):
    with serve_plan(
        ground.fleet,
        ground.model,
        ground.front[n_first],
        Replanner(ground.front, wish="throughput"),
        **{"patience": STEADY, "name": "served"} | options,
    ) as service:
        yield service


class Load:
    """Requests and what came of them, compared with the whole model."""

    def __init__(self, service, workload):
        self._service, self._workload = service, workload
        self.futures = []
        self.n_ended = 0

    def send(self, n_requests):
        for _ in range(n_requests):
            index = len(self.futures) % len(self._workload.inputs)
            future = self._service.submit(self._workload.inputs[index], timeout_seconds=60)
            future.add_done_callback(self._count)
            self.futures.append(future)

    def _count(self, _future):
        self.n_ended += 1

    def check(self):
        """Each request ended once, and rightly."""
        _, pending = wait(self.futures, timeout=60)
        assert not pending
        for index, future in enumerate(self.futures):
            outputs = future.result().outputs
            EXACT.check(outputs, self._workload.expected[index % len(self._workload.expected)])
        assert self.n_ended == len(self.futures)


def devices(service):
    return tuple(stage.device for stage in service.candidate.plan.stages) if service.candidate else ()


def told(service, kind):
    return [event for event in service.events.events if event.kind == kind]


def stages_on(ground):
    """(node, epoch, stage) of all that is loaded on nodes that answer."""
    found = []
    for name, node in ground.fleet.node_of.items():
        try:
            found += [(name, status.epoch, status.stage) for status in node.client.list_stages()]
        except NodeError:
            continue
    return sorted(found)


def run_cell(ground, fault, place, phase, n_requests=200):
    """One cell of the matrix: a fault on a stage's node while nothing, requests, or a plan are on their way."""
    victim = [stage.device for stage in ground.front[0].plan.stages][place]

    def strike():
        ground.strike(fault, victim)

    with serve_plan(
        ground.fleet,
        StrikingModel(ground.model, strike) if phase == "deploying" else ground.model,
        ground.front[0],
        Replanner(ground.front, wish="throughput"),
        patience=STEADY,
        name="cell",
    ) as service:
        load = Load(service, ground.workload)
        if phase == "idle":
            strike()
            kind = {"connection reset": kinds.LINE_BROKEN, "restarted empty": kinds.RECOVERED}
            wait_until(lambda: told(service, kind.get(fault, kinds.NODE_LOST)))
            load.send(n_requests)
        elif phase == "streaming":
            load.send(n_requests // 3)
            strike()
            load.send(n_requests - n_requests // 3)
        else:
            load.send(n_requests)
        load.check()
        if fault in QUICKEST_SECONDS:
            (lost, *_) = told(service, kinds.NODE_LOST)
            assert lost.node == victim
            assert lost.duration_seconds < QUICKEST_SECONDS[fault]
            assert victim not in devices(service)
        assert not told(service, kinds.REQUEST_FAILED)
        ground.heal()
        wait_until(lambda: service.alive == set(ground.nodes), 30)
        epoch = service.epoch
        wait_until(lambda: {found for _, found, _ in stages_on(ground)} <= {epoch, service.epoch}, 30)
    wait_until(lambda: not stages_on(ground), 30)


class StrikingModel:
    """Strikes when the plan's last shard has been cut: its stages are sent and loaded next."""

    def __init__(self, model, strike):
        self._model, self._strike = model, strike
        self._n_left = 3

    def __getattr__(self, name):
        return getattr(self._model, name)

    def cut(self, start, stop):
        self._n_left -= 1
        if self._n_left == 0:
            self._strike()
        return self._model.cut(start, stop)


@pytest.mark.parametrize(
    ("fault", "place", "phase"),
    [
        ("SIGKILL", 1, "streaming"),
        ("SIGSTOP", 0, "streaming"),
        ("connection reset", 1, "streaming"),
        ("restarted empty", 2, "idle"),
        ("SIGKILL", 2, "deploying"),
    ],
)
def test_a_fault_costs_no_answer(ground, fault, place, phase):
    run_cell(ground, fault, place, phase, n_requests=100)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["idle", "streaming", "deploying"])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_fault_matrix(ground, fault, place, phase):
    run_cell(ground, fault, place, phase)


def test_a_request_that_no_frame_could_hold_is_rejected_and_breaks_nothing(ground):
    with serving(ground) as service:
        load = Load(service, ground.workload)
        load.send(5)
        with pytest.raises(RequestRejectedError, match=r"'x' is float32 of shape \(1, 16, 5000000\)"):
            service.submit({"x": np.broadcast_to(np.float32(0), (1, 16, 5_000_000))})
        load.send(20)
        load.check()
        assert service.epoch == 1


def test_the_load_generator_takes_a_service_for_a_pipeline(ground):
    with serving(ground) as service:
        found = run_load(
            service, ground.workload, is_single_stream=False, n_requests=40, budget_seconds=20, on_done=lambda _: None
        )
    assert len(found.records) == 40
    assert found.errors.relative < 1e-4


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP", "restarted empty"])
def test_a_fault_costs_no_answer_over_the_other_data_plane(ground, tmp_path, fault):
    """Its ports are other ones after a restart, and its streams do not go through the proxies."""
    nodes = [{"name": name, "address": node.address} for name, node in ground.nodes.items()]
    config = parse_cluster({"name": "faulty", "data_plane": "tcp", "nodes": nodes})
    with connect_fleet(config, run_dir=tmp_path) as fleet, serving(replace(ground, fleet=fleet)) as service:
        load = Load(service, ground.workload)
        load.send(30)
        ground.strike(fault, "n1")
        load.send(70)
        load.check()
        assert service.epoch > 1
        ground.heal()
        wait_until(lambda: "n1" in service.alive)
        service.switch(ground.front[0]).result(30)
        load.send(10)
        load.check()
        assert "n1" in devices(service)


def test_a_plan_whose_stage_several_nodes_bear_loses_one_of_them_and_no_answer(ground):
    n_units = ground.model.graph.n_units
    replicated = ground.cost_model.candidate(
        (
            Stage(device="n0", start=0, stop=n_units // 2),
            Stage(device="n1", replicas=("n2",), start=n_units // 2, stop=n_units),
        )
    )
    replanner = Replanner(ground.front, wish="throughput")
    with serve_plan(ground.fleet, ground.model, replicated, replanner, patience=STEADY, name="served") as service:
        load = Load(service, ground.workload)
        load.send(30)
        ground.strike("SIGKILL", "n2")
        load.send(70)
        load.check()
        assert "n2" not in devices(service)


def test_weights_are_not_sent_again_after_a_loss(ground):
    with serving(ground) as service:
        Load(service, ground.workload).send(5)
        first = service.sent_bytes
        service.switch(ground.front[1]).result(30)
        service.switch(ground.front[0]).result(30)
        assert service.sent_bytes >= first
        before = service.sent_bytes
        service.switch(ground.front[1]).result(30)
        assert service.sent_bytes == before


def test_a_switch_under_load_loses_nothing_and_frees_the_former_plan(ground):
    with serving(ground) as service:
        load = Load(service, ground.workload)
        load.send(50)
        wish = service.switch(ground.front[5])
        load.send(100)
        wish.result(30)
        load.send(10)
        load.check()
        assert service.epoch == 2
        wait_until(lambda: {epoch for _, epoch, _ in stages_on(ground)} == {2}, 30)
        assert service.check().relative < 1e-4
    assert not stages_on(ground)
