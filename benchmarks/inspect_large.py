"""A graph of 5000 operators is loaded, ordered and inspected in under 5 s: by the command, and in a running program.

Three shapes of graphs: a residual chain, the same chain with its nodes in reverse order, and one tensor from which all
branches hang. Each run has a cache folder of its own, so that nothing is known beforehand. Medians of several runs;
intervals span all of them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from benchmarks._figures import Figure, at_most, parse_arguments, publish
from partitioner.onnx_io import load_model

N_OPERATORS = 5000
MOST_SECONDS = 5.0
WIDTH = 32


def main() -> int:
    """Measures every shape and publishes the figures."""
    arguments = parse_arguments(__doc__)
    n_runs = 3 if arguments.quick else 7
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder:
        for name, build in (("chain", chain), ("reversed", reversed_chain), ("wide", wide)):
            path = save(Path(folder) / f"{name}.onnx", build())
            figures.extend(timed(f"inspect_{name}_command", lambda path=path: run_command(path), n_runs))
            figures.extend(timed(f"inspect_{name}_in_process", lambda path=path: run_inside(path), n_runs))
    return publish(figures, arguments.json)


def timed(name: str, run: Callable[[], None], n_runs: int) -> tuple[Figure, Figure]:
    """Median seconds of a call; beside them those of the processor, which tell how busy the machine was otherwise."""
    seconds, processor_seconds = [], []
    for _ in range(n_runs):
        began, worked = time.perf_counter(), sum(os.times()[:4])
        run()
        seconds.append(time.perf_counter() - began)
        processor_seconds.append(sum(os.times()[:4]) - worked)
    value, interval = statistics.median(processor_seconds), (min(processor_seconds), max(processor_seconds))
    return (
        at_most(f"{name}_seconds", statistics.median(seconds), (min(seconds), max(seconds)), "s", MOST_SECONDS),
        Figure(name=f"{name}_processor_seconds", value=value, interval=interval, unit="s"),
    )


def run_command(path: Path) -> None:
    """`splitfront inspect` as a process, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="splitfront-") as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        command = [sys.executable, "-m", "coordinator", "inspect", str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    if f"{N_OPERATORS:,} layers" not in done.stdout:
        sys.exit(f"The table of {path.name} does not have {N_OPERATORS} layers:\n{done.stdout[-500:]}")


def run_inside(path: Path) -> None:
    """Loading and all split points in this process."""
    with tempfile.TemporaryDirectory(prefix="splitfront-") as cache:
        graph = load_model(str(path), cache_dir=Path(cache)).graph
    if len(graph.layers) != N_OPERATORS or len(graph.split_points) != graph.n_units - 1:
        sys.exit(f"{path.name} has {len(graph.layers)} layers and {len(graph.split_points)} split points")


def chain() -> list[NodeProto]:
    """MatMul after MatMul, each tenth operator a residual Add, the last a Tanh."""
    nodes, current, skip = [], "x", "x"
    for index in range(N_OPERATORS - 1):
        made = f"t{index}"
        reads = [current, skip] if index % 10 == 9 else [current, "w"]
        nodes.append(helper.make_node("Add" if index % 10 == 9 else "MatMul", reads, [made], name=f"n{index}"))
        current, skip = made, made if index % 10 == 9 else skip
    return [*nodes, helper.make_node("Tanh", [current], ["y"], name="last")]


def reversed_chain() -> list[NodeProto]:
    """The chain as a file that must be sorted first."""
    return chain()[::-1]


def wide() -> list[NodeProto]:
    """All branches hang on one tensor and meet in one Sum."""
    names = [f"t{index}" for index in range(N_OPERATORS - 2)]
    branches = [helper.make_node("MatMul", ["h", f"v{index}"], [name], name=name) for index, name in enumerate(names)]
    return [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        *branches,
        helper.make_node("Sum", names, ["y"], name="last"),
    ]


def save(path: Path, nodes: Sequence[NodeProto]) -> Path:
    """Writes a model of some nodes; every tensor that nobody makes is a weight."""
    generator = np.random.default_rng(0)
    made = {"x", *(name for node in nodes for name in node.output)}
    names = sorted({name for node in nodes for name in node.input} - made)
    weights = [
        numpy_helper.from_array((generator.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32), name)
        for name in names
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


if __name__ == "__main__":
    sys.exit(main())
