from dataclasses import replace

import pytest
from search_builders import chain_graph, device_profile, stage_trial, timing

from partitioner.graph import Graph, Layer, Unit
from partitioner.profile import DeviceProfile
from partitioner.stage_memory import format_mebibytes, live_bytes, stage_memory_bytes
from partitioner.tensors import TensorSpec


def residual_graph():
    """x(1) → a(10) → b(100) → c(1000) = b + a → y(7); the skip `a` passes by the second unit."""
    layers = [("A", ("x",), ("a",)), ("B", ("a",), ("b",)), ("C", ("b", "a"), ("c",)), ("D", ("c",), ("y",))]
    sizes = {"x": 1, "a": 10, "b": 100, "c": 1000, "y": 7}
    return Graph(
        name="residual",
        model_sha256="b" * 64,
        batch=1,
        layers=tuple(
            Layer(index=i, name=name, op="Add", inputs=reads, outputs=makes, weight_bytes=0, flops=1)
            for i, (name, reads, makes) in enumerate(layers)
        ),
        units=(
            Unit(index=0, name="u0", start=0, stop=1),
            Unit(index=1, name="u1", start=1, stop=2),
            Unit(index=2, name="u2", start=2, stop=4),
        ),
        tensors=tuple(TensorSpec(name=name, dtype="uint8", shape=(size,)) for name, size in sizes.items()),
        inputs=("x",),
        outputs=("y",),
    )


def test_live_bytes_hold_skips_and_the_most_within_a_unit():
    assert live_bytes(residual_graph()).tolist() == [11, 110, 1110]


def test_an_output_made_early_stays_alive():
    graph = replace(residual_graph(), outputs=("y", "a"))
    assert live_bytes(graph).tolist() == [11, 110, 1110]
    assert graph.boundary_bytes(3) == 17


def test_memory_by_hand():
    graph = chain_graph([100, 200, 50, 10], weights=[1000, 2000, 4000])
    matrix = stage_memory_bytes(graph, device_profile("a", {(0, 3): 1.0}, base_memory_bytes=10_000), queue_limit=4)
    assert matrix[0, 2] == 3000 + 300 + 4 * (100 + 50) + 10_000
    assert matrix[2, 3] == 4000 + 60 + 4 * (50 + 10) + 10_000
    assert matrix[2, 2] == matrix[2, 1] == 0


@pytest.mark.parametrize(("measured", "working"), [(5000, 5000), (100, 3300)])
def test_measured_growth_counts_where_it_is_larger(measured, working):
    graph = chain_graph([100, 200, 50, 10], weights=[1000, 2000, 4000])
    profile = DeviceProfile(device="a", segments=(timing(0, 2, 1.0, memory_bytes=measured),), runtime="test")
    assert stage_memory_bytes(graph, profile, queue_limit=1)[0, 2] == working + 150


def test_the_growth_of_a_stage_that_was_tried_counts_like_that_of_a_segment():
    graph = chain_graph([100, 200, 50, 10], weights=[1000, 2000, 4000])
    trials = tuple(stage_trial(0, stop, 1.0, 0.0, 1.0, memory_bytes=5000) for stop in (1, 2))
    segments = (timing(0, 2, 1.0, memory_bytes=6000),)
    matrix = stage_memory_bytes(graph, DeviceProfile(device="a", segments=segments, runtime="test", trials=trials), 1)
    assert (matrix[0, 1], matrix[0, 2]) == (5000 + 300, 6000 + 150)


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 MiB"), (1, "0.001 MiB"), (2**19, "0.5 MiB"), (35 * 2**20 - 1, "35 MiB"), (2**31, "2,048 MiB")],
)
def test_mebibytes_for_people(n_bytes, text):
    assert format_mebibytes(n_bytes) == text
