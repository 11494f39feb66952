"""Times codecs on this machine, interleaved, so that what disturbs one disturbs all."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from node_agent.codecs.coding import decode, encode
from node_agent.element_types import DTYPES
from node_agent.messages import CodecProfileRequest, CodecSample, TensorSpec

_SHORTEST_SECONDS = 200e-6
"""What is quicker is done several times per sample: the clock and its reading take their share."""

_MAX_REPEATS = 1000
_N_WARM_UPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    codec: str
    values: np.ndarray
    spec: TensorSpec
    encoded: memoryview
    n_encodes: int
    n_decodes: int


def time_codecs(request: CodecProfileRequest, factor: float = 1.0) -> tuple[CodecSample, ...]:
    """One sample for each round, size and codec.

    The tensors are such as a ReLU leaves: normally distributed, what is negative set to zero.

    Args:
        request: What to time.
        factor: The times are multiplied by this: the slowdown of an emulated device.

    Raises:
        CodecMissingError: This machine lacks a codec.
        FrameError: The element type does not travel.
    """
    draw = np.random.default_rng(request.seed)
    tensors = [draw_tensor(request.dtype, n_bytes, draw) for n_bytes in request.sizes_bytes]
    cases = [_prepare(codec, values) for values in tensors for codec in request.codecs]
    order = random.Random(request.seed)  # noqa: S311 - an order, not a secret
    rounds = (order.sample(cases, len(cases)) for _ in range(request.n_rounds))
    return tuple(_time(case, factor) for cases_of_round in rounds for case in cases_of_round)


def draw_tensor(dtype: str, n_bytes: int, draw: np.random.Generator) -> np.ndarray:
    """(n,) random values of `dtype` such as a ReLU leaves, of at most `n_bytes`."""
    kind = DTYPES[dtype]
    n_elements = max(1, n_bytes // kind.itemsize)
    return np.maximum(draw.standard_normal(n_elements, dtype=np.float32), 0).astype(kind)


def _prepare(codec: str, values: np.ndarray) -> _Case:
    """Warms up, and finds out how many runs make a sample."""
    spec = TensorSpec(name="sample", dtype=values.dtype.name, shape=values.shape)
    encoded = encode(codec, values)
    encoding = min(_seconds(lambda: encode(codec, values), 1) for _ in range(_N_WARM_UPS))
    decoding = min(_seconds(lambda: decode(codec, encoded, spec), 1) for _ in range(_N_WARM_UPS))
    return _Case(
        codec=codec,
        values=values,
        spec=spec,
        encoded=encoded,
        n_encodes=_n_repeats(encoding),
        n_decodes=_n_repeats(decoding),
    )


def _n_repeats(seconds: float) -> int:
    return min(_MAX_REPEATS, math.ceil(_SHORTEST_SECONDS / max(seconds, 1e-9)))


def _seconds(act: Callable[[], object], n_repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(n_repeats):
        act()
    return (time.perf_counter() - started) / n_repeats


def _time(case: _Case, factor: float) -> CodecSample:
    return CodecSample(
        codec=case.codec,
        n_bytes=case.values.nbytes,
        wire_bytes=len(case.encoded),
        encode_seconds=factor * _seconds(lambda: encode(case.codec, case.values), case.n_encodes),
        decode_seconds=factor * _seconds(lambda: decode(case.codec, case.encoded, case.spec), case.n_decodes),
    )
