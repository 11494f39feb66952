"""Four real agents behind proxies, shared by all tests that put faults on them and heal them again."""

from dataclasses import dataclass, field

import pytest
from serving_fakes import wait_until

from benchmarks._faulty_nodes import faulty_nodes
from benchmarks._made_up_plans import made_up_cost_model, plans_of_three
from coordinator.config import parse_cluster
from coordinator.fleet import connect_fleet
from coordinator.loadgen import make_workload
from partitioner.onnx_io import load_model

NAMES = ("n0", "n1", "n2", "n3")


@dataclass
class Ground:
    """What a test of a fault stands on."""

    nodes: dict
    fleet: object
    model: object
    cost_model: object
    front: tuple
    workload: object
    ill: list = field(default_factory=list)

    def strike(self, fault, name):
        """Puts a fault on a node; `heal` undoes it."""
        node = self.nodes[name]
        actions = {
            "SIGKILL": (node.kill, node.start),
            "SIGSTOP": (node.freeze, node.thaw),
            "traffic dropped": (node.cut, node.mend),
            "connection reset": (node.reset, lambda: None),
            "restarted empty": (node.restart_empty, lambda: None),
        }
        strike, heal = actions[fault]
        self.ill.append(heal)
        strike()

    def heal(self):
        while self.ill:
            self.ill.pop()()


@pytest.fixture(scope="session")
def shared_ground(toy_model, tmp_path_factory):
    model = load_model(str(toy_model))
    folder = tmp_path_factory.mktemp("faulty")
    with faulty_nodes(folder, NAMES) as nodes:
        config = parse_cluster(
            {"name": "faulty", "nodes": [{"name": name, "address": node.address} for name, node in nodes.items()]}
        )
        with connect_fleet(config, run_dir=folder) as fleet:
            cost_model = made_up_cost_model(model, NAMES)
            yield Ground(
                nodes=nodes,
                fleet=fleet,
                model=model,
                cost_model=cost_model,
                front=plans_of_three(cost_model, NAMES),
                workload=make_workload(model, seed=3),
            )


@pytest.fixture
def ground(shared_ground):
    """All nodes are well before, and are healed afterwards."""
    yield shared_ground
    shared_ground.heal()


def stages_of(ground, name):
    return ground.fleet.node_of[name].client.list_stages()


def all_free(ground, seconds=30.0):
    """Waits until no node holds a stage."""
    wait_until(lambda: not any(stages_of(ground, name) for name in NAMES), seconds)
