import os
import signal
import threading
import time
from concurrent.futures import wait
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from node_processes import running_agent

from coordinator.config import local_cluster, parse_cluster
from coordinator.deployment import deploy_plan
from coordinator.errors import NodeDownError, OutputMismatchError
from coordinator.fleet import connect_fleet
from coordinator.lease import renewed_lease
from coordinator.planning import probe_links
from coordinator.profiling import profile_fleet
from coordinator.provisioning import send_shards
from coordinator.stage_orders import stage_loads
from node_agent.client import NodeClient
from node_agent.errors import NodeError, RequestRejectedError
from partitioner.cost import CostModel
from partitioner.onnx_io import load_model
from partitioner.plan import Stage


@pytest.fixture(scope="module")
def model(toy_model):
    return load_model(str(toy_model))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with connect_fleet(local_cluster(2), run_dir=tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def candidate_at(fleet, model):
    """Makes the plan that splits at a position, first half on the first node."""
    n_units = model.graph.n_units
    whole = {node.name: [(0, n_units)] for node in fleet.nodes}
    profile = profile_fleet(fleet, model, whole, n_rounds=3, budget_seconds=1)
    cost_model = CostModel(model.graph, probe_links(fleet, lambda *_: None), profile)
    first, second = (node.name for node in fleet.nodes)
    return lambda position: cost_model.candidate(
        (Stage(device=first, start=0, stop=position), Stage(device=second, start=position, stop=n_units))
    )


class Altered:
    """A model that claims other outputs than it computes."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def sample_answers(self, seed):
        inputs, outputs = self._model.sample_answers(seed)
        return inputs, {name: values * np.float32(1.001) for name, values in outputs.items()}


def n_stages(fleet):
    return sum(len(node.client.list_stages()) for node in fleet.nodes)


def test_a_deployed_plan_answers_like_the_whole_model_and_leaves_nothing(fleet, model, candidate_at):
    inputs = model.sample_inputs(7)
    with deploy_plan(fleet, model, candidate_at(3)) as deployment:
        answer = deployment.pipeline.infer(inputs)
        assert n_stages(fleet) == 2
    np.testing.assert_allclose(answer.outputs["y"], model.run_whole(inputs)["y"], rtol=1e-4, atol=1e-6)
    assert [trace.stage for trace in answer.trace] == [0, 1]
    assert all(trace.compute_seconds > 0 for trace in answer.trace)
    assert n_stages(fleet) == 0


def test_each_link_carries_frames_over_the_plane_that_was_chosen_for_it(tmp_path, model):
    links = [{"from": "a", "to": "b", "data_plane": "grpc"}]
    nodes = [{"name": name, "local": True, "threads": 1} for name in "ab"]
    config = parse_cluster({"name": "mixed", "data_plane": "tcp", "nodes": nodes, "links": {"between": links}})
    with connect_fleet(config, run_dir=tmp_path) as fleet:
        ports = [node.description.tcp_port for node in fleet.nodes]
        whole = {node.name: [(0, model.graph.n_units)] for node in fleet.nodes}
        cluster = probe_links(fleet, lambda *_: None)
        cost_model = CostModel(model.graph, cluster, profile_fleet(fleet, model, whole, n_rounds=3, budget_seconds=1))
        stages = (Stage(device="a", start=0, stop=3), Stage(device="b", start=3, stop=model.graph.n_units))
        candidate = cost_model.candidate(stages)
        shards = tuple(model.cut(stage.start, stage.stop) for stage in stages)
        (_, first), _ = stage_loads(fleet, candidate, shards, deployment="d", epoch=1)
        assert (first.next_plane, first.next_address) == ("grpc", fleet.node_of["b"].address)
        with deploy_plan(fleet, model, candidate) as deployment:
            used = {
                node.name: {
                    connection.laddr.port
                    for connection in psutil.Process(pid_of(node)).net_connections("tcp")
                    if connection.status == psutil.CONN_ESTABLISHED
                }
                for node in fleet.nodes
            }
            assert deployment.pipeline.infer(model.sample_inputs(1)).outputs["y"].shape == (1, 16, 10)
    assert all(port in used[node.name] for node, port in zip(fleet.nodes, ports, strict=True))


def pid_of(node):
    """Of the agent, which is the process that listens where the node does."""
    port = int(node.address.rpartition(":")[2])
    (pid,) = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    return pid


def test_a_node_without_the_plane_of_its_links_is_named(tmp_path):
    with running_agent(tmp_path, "--tcp-port", "off") as agent:
        node = {"name": "old", "address": agent.address}
        config = parse_cluster({"name": "c", "data_plane": "tcp", "nodes": [node]})
        words = r"'old' .* does not listen for the data plane tcp.*choose data_plane: grpc"
        with pytest.raises(NodeDownError, match=words), connect_fleet(config, run_dir=tmp_path):
            pytest.fail("a node was taken that cannot be reached")


def test_a_plan_with_other_outputs_is_refused_and_taken_off(fleet, model, candidate_at):
    with pytest.raises(OutputMismatchError, match="'y'"), deploy_plan(fleet, Altered(model), candidate_at(3)):
        pytest.fail("a plan with wrong outputs was served")
    assert n_stages(fleet) == 0


def test_stages_are_loaded_side_by_side(fleet, model, candidate_at, monkeypatch):
    both = threading.Barrier(2, timeout=20)
    load_stage = NodeClient.load_stage

    def meet(client, load):
        both.wait()
        return load_stage(client, load)

    monkeypatch.setattr(NodeClient, "load_stage", meet)
    with deploy_plan(fleet, model, candidate_at(3)) as deployment:
        assert deployment.session_seconds > 0


def test_where_one_node_refuses_its_stage_what_the_other_loads_too_late_is_freed(
    *, fleet, model, candidate_at, monkeypatch
):
    has_failed = threading.Event()
    load_stage = NodeClient.load_stage

    def one_refuses(client, load):
        if load.stage:
            raise RequestRejectedError("no more room")
        has_failed.wait(20)
        return load_stage(client, load)

    monkeypatch.setattr(NodeClient, "load_stage", one_refuses)
    with pytest.raises(RequestRejectedError, match="no more room"), deploy_plan(fleet, model, candidate_at(3)):
        pytest.fail("half a plan was served")
    unloaded = threading.Event()
    unload_stage = NodeClient.unload_stage

    def note(client, deployment, **epochs):
        n_unloaded = unload_stage(client, deployment, **epochs)
        if n_unloaded:
            unloaded.set()
        return n_unloaded

    monkeypatch.setattr(NodeClient, "unload_stage", note)
    has_failed.set()
    assert unloaded.wait(20)
    assert n_stages(fleet) == 0


def test_every_split_point_of_the_toy_network_is_served(fleet, model, candidate_at):
    for position in range(1, model.graph.n_units):
        with deploy_plan(fleet, model, candidate_at(position)) as deployment:
            assert deployment.pipeline.infer(model.sample_inputs(position)).outputs["y"].shape == (1, 16, 10)


def test_weights_are_sent_once(fleet, model):
    node = fleet.nodes[0].client
    whole = model.cut(0, model.graph.n_units)
    send_shards(node, model, [whole])
    assert send_shards(node, model, [whole]) == 0
    halves = [model.cut(0, 4), model.cut(4, model.graph.n_units)]
    weight_bytes = sum(blob.n_bytes for blob in whole.blobs)
    assert send_shards(node, model, halves) < 0.02 * weight_bytes


def test_a_killed_node_ends_every_open_request_exactly_once(model, candidate_at, tmp_path):
    with connect_fleet(local_cluster(2), run_dir=tmp_path) as fleet:
        victim = local_pid(fleet.nodes[1].name, tmp_path)
        with deploy_plan(fleet, model, candidate_at(3), window=8) as deployment:
            futures = []
            with pytest.raises(NodeError):  # noqa: PT012 - it may break at any request
                for index in range(100_000):
                    futures.append(deployment.pipeline.submit(model.sample_inputs(0), timeout_seconds=10))
                    if index == 50:
                        os.kill(victim, signal.SIGKILL)
            done, pending = wait(futures, timeout=10)
            assert not pending
            errors = [future.exception() for future in done]
            assert any(error is None for error in errors)
            assert all(error is None or isinstance(error, NodeError) for error in errors)


def local_pid(name, folder):
    """Process of the local agent of that name whose store is below `folder`."""
    return next(
        child.pid
        for child in psutil.Process().children(recursive=True)
        if name in child.cmdline() and any(str(folder) in part for part in child.cmdline())
    )


@pytest.mark.parametrize(("renew_seconds", "n_kept"), [(0.1, 2), (60.0, 0)])
def test_nodes_keep_stages_only_while_somebody_asks_after_them(
    *, fleet, model, candidate_at, monkeypatch, renew_seconds, n_kept
):
    monkeypatch.setattr("coordinator.deployment.LEASE_SECONDS", 0.6)
    monkeypatch.setattr("coordinator.lease.RENEW_SECONDS", renew_seconds)
    with deploy_plan(fleet, model, candidate_at(2)):
        time.sleep(1.5)
        assert sum(len(node.client.list_stages()) for node in fleet.nodes) == n_kept


def test_a_node_is_asked_after_its_stage_while_another_one_still_loads_its_own(
    *, fleet, model, candidate_at, monkeypatch
):
    monkeypatch.setattr("coordinator.lease.RENEW_SECONDS", 0.05)
    load_stage, status = NodeClient.load_stage, NodeClient.status
    loaded, is_renewed = set(), threading.Event()

    def last_one_waits(client, load):
        if load.stage:
            assert is_renewed.wait(20), "nobody asked after the stage that was loaded first"
        found = load_stage(client, load)
        loaded.add(client.address)
        return found

    def note(client, renew=()):
        has_stage = client.address in loaded
        found = status(client, renew)
        if renew and has_stage:
            is_renewed.set()
        return found

    monkeypatch.setattr(NodeClient, "load_stage", last_one_waits)
    monkeypatch.setattr(NodeClient, "status", note)
    with deploy_plan(fleet, model, candidate_at(3)):
        assert n_stages(fleet) == 2


def test_a_node_that_does_not_answer_keeps_nobody_from_asking_the_others(monkeypatch):
    monkeypatch.setattr("coordinator.lease.RENEW_SECONDS", 0.05)
    has_ended, is_renewed = threading.Event(), threading.Event()

    def node(name, status):
        return SimpleNamespace(name=name, client=SimpleNamespace(status=status))

    silent = node("silent", lambda renew: has_ended.wait(20))
    other = node("other", lambda renew: is_renewed.set())
    with renewed_lease([silent, other], "d"):
        was_renewed = is_renewed.wait(10)
        has_ended.set()
    assert was_renewed
