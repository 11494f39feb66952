"""The window tuned on a live pipeline over links that are long, so that a window too narrow shows."""

import math
from itertools import permutations

import pytest

from coordinator.config import parse_cluster
from coordinator.fleet import connect_fleet
from coordinator.loadgen import make_workload
from coordinator.measuring import Effort, measure_plan
from coordinator.profiling import profile_fleet
from coordinator.tuning import WindowTuning
from coordinator.window import LEAST_GAIN, WindowWish
from partitioner.cluster import Cluster, Link
from partitioner.cost import CostModel
from partitioner.onnx_io import load_model
from partitioner.plan import Stage

DELAY_SECONDS = 0.01
CLUSTER = {
    "name": "far",
    "nodes": [{"name": name, "local": True, "threads": 1, "emulate": {"slowdown": 3.0}} for name in ("a", "b")],
    "links": {"default": {"delay": "10ms", "rate": "20mbit"}},
}


@pytest.fixture(scope="module")
def far(toy_model, tmp_path_factory):
    """A fleet, a model, and the cost model of both."""
    model = load_model(str(toy_model))
    with connect_fleet(parse_cluster(CLUSTER), run_dir=tmp_path_factory.mktemp("far")) as fleet:
        whole = {node.name: [(0, model.graph.n_units)] for node in fleet.nodes}
        profile = profile_fleet(fleet, model, whole, n_rounds=3, budget_seconds=1)
        links = tuple(
            Link(source=source, target=target, fixed_seconds=DELAY_SECONDS, bytes_per_second=2.5e6)
            for source, target in permutations(("client", "a", "b"), 2)
        )
        cluster = Cluster(name="far", devices=tuple(node.device for node in fleet.nodes), links=links)
        yield fleet, model, CostModel(model.graph, cluster, profile)


@pytest.mark.parametrize("bound_seconds", [math.inf, 1e-3])
def test_the_window_found_is_what_is_measured_and_predicted(far, bound_seconds):
    fleet, model, cost_model = far
    n_units = model.graph.n_units
    candidate = cost_model.candidate((Stage(device="a", start=0, stop=3), Stage(device="b", start=3, stop=n_units)))
    wish = WindowWish(latency_bound_seconds=bound_seconds)
    shown = []
    measured = measure_plan(
        fleet,
        model,
        candidate,
        make_workload(model, seed=0),
        label="chosen",
        effort=Effort(seconds=0.5),
        on_step=lambda what, *_: shown.append(what),
        tuning=WindowTuning(wish=wish, predict=cost_model.predict, seconds=0.25),
    )
    tried = [step.window for step in measured.window_steps]
    assert measured.window == measured.plan.window
    assert measured.window in tried
    assert f"chosen: window {tried[0]}" in shown
    cost = cost_model.predict(measured.plan)
    assert measured.predicted.throughput_per_second == cost.throughput_per_second
    if bound_seconds == math.inf:
        assert tried == sorted(tried)
        assert tried[0] >= 4  # a round trip is 30 ms and more, the busiest resource takes a fifth of that
        rates = [step.throughput_per_second.value for step in measured.window_steps]
        assert LEAST_GAIN * rates[tried.index(measured.window)] >= max(rates)
    else:
        assert measured.window == 1
        assert cost.throughput_per_second == pytest.approx(1 / cost.latency_seconds)
