"""Plans of the toy network on real nodes, predicted from made-up times: nothing is measured."""

from itertools import permutations

from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.plan import Stage
from partitioner.profile import DeviceProfile, Profile, SegmentTiming


def made_up_cost_model(model, names):
    """Every unit takes 2 ms on every node; links are fast."""
    graph = model.graph
    spans = [(index, index + 1) for index in range(graph.n_units)] + [(0, graph.n_units)]
    segments = tuple(
        SegmentTiming(
            start=start,
            stop=stop,
            seconds=2e-3 * (stop - start),
            low_seconds=2e-3 * (stop - start),
            high_seconds=2e-3 * (stop - start),
            n_samples=10,
            session_seconds=0.01,
            memory_bytes=1 << 20,
        )
        for start, stop in spans
    )
    places = (CLIENT, *names)
    return CostModel(
        graph,
        Cluster(
            name="made up",
            devices=tuple(Device(name=name, memory_bytes=4 << 30) for name in names),
            links=tuple(
                Link(source=one, target=two, fixed_seconds=2e-4, bytes_per_second=1e9)
                for one, two in permutations(places, 2)
            ),
        ),
        Profile(
            model_sha256=graph.model_sha256,
            batch=graph.batch,
            n_units=graph.n_units,
            devices=tuple(DeviceProfile(device=name, segments=segments, runtime="none") for name in names),
        ),
    )


def plan_on(cost_model, *names):
    """Equal stages on these nodes, in this order."""
    n_units = cost_model.graph.n_units
    edges = [round(n_units * index / len(names)) for index in range(len(names) + 1)]
    return cost_model.candidate(
        tuple(
            Stage(device=name, start=start, stop=stop)
            for name, start, stop in zip(names, edges, edges[1:], strict=False)
        )
    )


def plans_of_three(cost_model, names):
    """Every order of three of the nodes."""
    return tuple(plan_on(cost_model, *order) for order in permutations(names, 3))
