"""What each codec makes of a real boundary: bytes, error of the outputs, and speed against copying the same bytes.

The boundaries are those of ResNet-18 and MobileNetV2 (seeded weights, random inputs) at a quarter of the network behind
an activation, and of MobileNetV2 also behind a block without one, where no value is zero. In each round every codec
encodes and decodes the boundary once, and it is copied once, in an order drawn anew; speeds are bytes of the boundary
per second, intervals those of the median. `to_plain` is the bytes over those of the same compressor on the values as
they lie; `int8_to_symmetric` is the error of the tensor itself over that of levels symmetric about zero. What an
error of the tensor does to the outputs is the network's affair: it is reported, and the search bounds it.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  the number of threads is read when it loads

from benchmarks._figures import Figure, at_most, parse_arguments, publish  # noqa: E402
from coordinator.coding import round_trip_of  # noqa: E402
from coordinator.statistics import quantile_estimate  # noqa: E402
from node_agent.codecs import CODECS, decode, encode, lz4_door, zstandard_door  # noqa: E402
from node_agent.messages import TensorSpec  # noqa: E402
from partitioner.equality import l2_error  # noqa: E402
from partitioner.graph import Graph  # noqa: E402
from partitioner.onnx_io import Model, load_model  # noqa: E402
from partitioner.onnx_io.coding_trial import measure_codings  # noqa: E402
from partitioner.onnx_io.session import open_session, run_session  # noqa: E402

MOST_BYTES = {"float16": 0.501, "int8": 0.251, "zstd": 1.0, "lz4": 1.0}
"""Of the boundary; what a lossless codec leaves is up to the values."""
MOST_TO_PLAIN = {True: 0.9, False: 1.001}
"""Behind an activation the layout gains a tenth and more, elsewhere it loses nothing but a header of 16 bytes."""
MOST_TENSOR_ERROR = {"float16": 2.0**-11, "zstd": 0.0, "lz4": 0.0}
"""Relative L2; float16 rounds to 11 bits."""
MOST_TO_SYMMETRIC = {True: 0.55, False: 1.01}
"""Behind an activation half of the symmetric levels lie idle; on values of both signs the two are alike."""
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A boundary of one tensor."""

    name: str
    model: Model
    position: int
    has_zeros: bool


def main() -> int:
    """Measures every boundary and publishes the figures."""
    arguments = parse_arguments(__doc__)
    n_rounds, n_samples = (9, 1) if arguments.quick else (61, 4)
    figures: list[Figure] = []
    for case in cases():
        figures += size_figures(case, n_samples)
        figures += speed_figures(case, n_rounds)
    return publish(figures, arguments.json)


def cases() -> Iterator[Case]:
    """The boundaries: split points that a single tensor crosses, with zeros or without."""
    for name, kinds in (("resnet18", (True,)), ("mobilenet_v2", (True, False))):
        model = load_model(name)
        for has_zeros in kinds:
            position = first_position(model, has_zeros)
            label = f"{name.partition('_')[0]}_{'relu' if has_zeros else 'dense'}"
            yield Case(name=label, model=model, position=position, has_zeros=has_zeros)


def first_position(model: Model, has_zeros: bool) -> int:
    """The first one from a quarter of the network on whose tensor holds zeros, or none."""
    graph = model.graph
    for point in graph.split_points[graph.n_units // 4 :]:
        if point.is_block_level and bool((boundary(model, point.position) == 0).mean() > 0.05) == has_zeros:
            return point.position
    sys.exit(f"{graph.name} has no such boundary")


def boundary(model: Model, position: int) -> np.ndarray:
    """The one tensor at a position, for sample inputs."""
    shard = model.cut(0, position)
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(model.place_shard(shard, Path(folder)))
        (values,) = run_session(session, [spec.name for spec in shard.sends], model.sample_inputs(0), what="").values()
    return values


def size_figures(case: Case, n_samples: int) -> list[Figure]:
    """Bytes of the coded boundary and errors of the outputs; what a compressor makes of the bytes as they lie."""
    graph: Graph = case.model.graph
    codings = measure_codings(
        case.model,
        {codec: round_trip_of(codec) for codec in CODECS[1:]},
        samples=[case.model.sample_inputs(seed) for seed in range(n_samples)],
        positions=[case.position],
    )
    raw = graph.boundary_bytes(case.position)
    figures = []
    for coding in codings:
        ratio, error = coding.wire_bytes[case.position] / raw, coding.output_errors[case.position]
        names = f"codec_{case.name}_{coding.codec}"
        figures.append(at_most(f"{names}_bytes", ratio, (ratio, ratio), "of raw", MOST_BYTES[coding.codec]))
        figures.append(Figure(name=f"{names}_output_error", value=error, interval=(error, error), unit="L2"))
    values = boundary(case.model, case.position)
    for codec, bound in MOST_TENSOR_ERROR.items():
        error = l2_error(round_trip_of(codec)(values)[0], values)
        figures.append(at_most(f"codec_{case.name}_{codec}_tensor_error", error, (error, error), "L2", bound))
    ratio = l2_error(round_trip_of("int8")(values)[0], values) / l2_error(symmetric(values), values)
    bound = MOST_TO_SYMMETRIC[case.has_zeros]
    figures.append(at_most(f"codec_{case.name}_int8_to_symmetric", ratio, (ratio, ratio), "ratio", bound))
    for codec, door in (("zstd", zstandard_door), ("lz4", lz4_door)):
        n_plain = len(door.compress(values.reshape(-1).data))
        ratio = len(encode(codec, values)) / n_plain
        bound = MOST_TO_PLAIN[case.has_zeros]
        figures.append(at_most(f"codec_{case.name}_{codec}_to_plain", ratio, (ratio, ratio), "ratio", bound))
    return figures


def symmetric(values: np.ndarray) -> np.ndarray:
    """What levels symmetric about zero make of a tensor."""
    step = np.abs(values).max() / 127
    return (np.rint(values / step) * step).astype(values.dtype)


def speed_figures(case: Case, n_rounds: int) -> list[Figure]:
    """MB/s of each direction, and how many times longer than copying it takes."""
    values = boundary(case.model, case.position)
    times = interleaved(acts_on(values), n_rounds)
    copying = times.pop("memcpy")
    copied = quantile_estimate([values.nbytes / seconds / MEGABYTE for seconds in copying], 0.5)
    figures = [figure(f"codec_{case.name}_memcpy_speed", copied, "MB/s")]
    for name, seconds in times.items():
        speeds = [values.nbytes / one / MEGABYTE for one in seconds]
        figures.append(figure(f"codec_{case.name}_{name}_speed", quantile_estimate(speeds, 0.5), "MB/s"))
    slowest = max(times, key=lambda name: statistics.median(times[name]))
    ratios = [coded / copy for coded, copy in zip(times[slowest], copying, strict=True)]
    figures.append(figure(f"codec_{case.name}_slowest_to_memcpy", quantile_estimate(ratios, 0.5), "times"))
    return figures


def figure(name: str, estimate: object, unit: str) -> Figure:
    """A figure without a target, of a median with its interval."""
    value, low, high = (getattr(estimate, field) for field in ("value", "low", "high"))
    return Figure(name=name, value=value, interval=(low, high), unit=unit)


def acts_on(values: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    target = np.empty_like(values)
    spec = TensorSpec(name="boundary", dtype=values.dtype.name, shape=values.shape)
    acts: dict[str, Callable[[], object]] = {"memcpy": lambda: np.copyto(target, values)}
    for codec in CODECS[1:]:
        encoded = encode(codec, values)
        acts[f"{codec}_encode"] = lambda codec=codec: encode(codec, values)
        acts[f"{codec}_decode"] = lambda codec=codec, encoded=encoded: decode(codec, encoded, spec)
    return acts


def interleaved(acts: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, list[float]]:
    """Seconds of each act, round by round."""
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in acts}
    for act in acts.values():
        act()
    for _ in range(n_rounds):
        for name in order.sample(list(acts), len(acts)):
            began = time.perf_counter()
            acts[name]()
            times[name].append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
