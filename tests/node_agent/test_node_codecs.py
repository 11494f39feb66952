import math
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import lz4.block
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy

from node_agent.codecs import CODECS, available_codecs, decode, encode, time_codecs
from node_agent.element_types import DTYPES
from node_agent.errors import CodecMissingError, FrameError
from node_agent.messages import CodecProfileRequest, TensorSpec

LOSSY = ("float16", "int8")
LOSSLESS = ("none", "zstd", "lz4")
HEADER_BYTES = 16


def spec_of(values, name="t"):
    return TensorSpec(name=name, dtype=values.dtype.name, shape=values.shape)


def round_trip(codec, values):
    return decode(codec, bytes(encode(codec, values)), spec_of(values))


def same_bits(obtained, values):
    return obtained.shape == values.shape and obtained.dtype == values.dtype and obtained.tobytes() == values.tobytes()


def relu_like(n=50_000, dtype=np.float32, seed=0):
    return np.maximum(np.random.default_rng(seed).standard_normal(n), 0).astype(dtype)


any_tensor = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hypothesis_numpy.arrays(
        DTYPES[name], hypothesis_numpy.array_shapes(min_dims=0, min_side=0, max_side=9)
    )
)


@given(any_tensor, st.sampled_from(LOSSLESS))
@settings(max_examples=400, deadline=None)
def test_what_is_lossless_keeps_every_bit_of_every_type(values, codec):
    assert same_bits(round_trip(codec, values), values)


@given(any_tensor.filter(lambda values: values.dtype.name not in ("float32", "float64")), st.sampled_from(LOSSY))
@settings(max_examples=200, deadline=None)
def test_what_is_lossy_leaves_other_types_alone(values, codec):
    assert bytes(encode(codec, values)) == values.tobytes()
    assert same_bits(round_trip(codec, values), values)


def arrays_of_floats(**bounds):
    return st.sampled_from([(np.float32, 32), (np.float64, 64)]).flatmap(
        lambda kind: hypothesis_numpy.arrays(
            kind[0],
            hypothesis_numpy.array_shapes(min_side=1, max_side=9),
            elements=st.floats(width=kind[1], allow_nan=False, allow_infinity=False, **bounds),
        )
    )


floats = arrays_of_floats()
large_floats = arrays_of_floats(min_value=-1, max_value=1).map(lambda values: values * np.finfo(values.dtype).max)


@given(floats | large_floats)
@settings(max_examples=800, deadline=None)
def test_eight_bits_move_no_value_by_more_than_half_a_step(values):
    obtained = round_trip("int8", values)
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    if largest > float(np.finfo(values.dtype).max) / 4:
        assert same_bits(obtained, values)
        return
    rounding = 8 * largest * float(np.finfo(values.dtype).eps)
    allowed = (high - low) / 255 * (0.5 + 1e-4) + rounding + 255 * float(np.finfo(values.dtype).tiny)
    assert float(np.abs(obtained.astype(np.longdouble) - values).max()) <= allowed


@given(floats)
@settings(max_examples=400, deadline=None)
def test_half_precision_is_numpys_but_clipped(values):
    obtained = round_trip("float16", values)
    expected = np.clip(values, -65504, 65504).astype(np.float16).astype(values.dtype)
    assert same_bits(obtained, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_half_precision_keeps_what_is_not_finite_and_clips_what_is(dtype):
    values = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 65504, 65519, -0.0, 1e-30], dtype)
    obtained = round_trip("float16", values)
    expected = np.array([np.nan, np.inf, -np.inf, 65504, -65504, 65504, 65504, -0.0, 0.0], dtype)
    np.testing.assert_array_equal(obtained, expected)
    np.testing.assert_array_equal(np.signbit(obtained[7:]), [True, False])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_eight_bits_let_pass_what_has_no_levels(bad):
    values = relu_like()
    values[123] = bad
    assert same_bits(round_trip("int8", values), values)


def test_zeros_stay_zeros_under_every_codec():
    values = np.where(np.arange(10_000) % 3 == 0, np.random.default_rng(3).normal(0.3, 1, 10_000), 0).astype(np.float32)
    for codec in CODECS:
        assert (round_trip(codec, values)[values == 0] == 0).all()


def test_a_constant_stays_what_it_is():
    for value in (0.0, -3.7, 1e-42, 1e30):
        values = np.full((3, 5), value, np.float32)
        assert same_bits(round_trip("int8", values), values)


def test_levels_far_from_zero_lie_between_the_extremes():
    values = np.linspace(1e6, 1e6 + 16, 1000, dtype=np.float32)
    assert np.abs(round_trip("int8", values) - values).max() <= 16 / 255 / 2 + 0.0625


def test_a_zero_point_halves_the_error_behind_a_relu():
    values = relu_like()
    step = values.max() / 127
    symmetric = np.rint(values / step) * step
    errors = [np.linalg.norm(obtained - values) for obtained in (round_trip("int8", values), symmetric)]
    assert 0.45 < errors[0] / errors[1] < 0.55


def test_bytes_of_what_a_relu_leaves():
    values = relu_like(200_000)
    ratios = {codec: len(encode(codec, values)) / values.nbytes for codec in CODECS}
    assert ratios["none"] == 1
    assert ratios["float16"] == 0.5
    assert ratios["int8"] == pytest.approx(0.25, abs=1e-3)
    assert ratios["zstd"] < 0.48  # 0.56 without leaving zeros out
    assert ratios["lz4"] < 0.51  # 0.67 without
    assert len(zstandard.ZstdCompressor(level=1).compress(values.tobytes())) / values.nbytes > 0.55


def test_bytes_of_token_numbers():
    tokens = np.random.default_rng(0).integers(0, 30_000, (1, 4096))
    assert len(encode("zstd", tokens)) < 0.27 * tokens.nbytes
    assert len(encode("lz4", tokens)) < 0.3 * tokens.nbytes


def test_what_does_not_shrink_costs_a_header():
    noise = np.random.default_rng(0).integers(0, 2**64, 4096, dtype=np.uint64)
    for codec in ("zstd", "lz4"):
        assert len(encode(codec, noise)) == noise.nbytes + HEADER_BYTES


def test_strided_and_foreign_arrays_are_read_in_order():
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    for codec in CODECS:
        np.testing.assert_allclose(round_trip(codec, values.T[::2]), values.T[::2], atol=0.05)
        np.testing.assert_allclose(
            decode(codec, bytes(encode(codec, values.astype(">f4"))), spec_of(values)), values, atol=0.05
        )


def test_nothing_is_copied_where_nothing_is_to_be_done():
    values = relu_like(100)
    encoded = encode("none", values)
    assert np.shares_memory(np.frombuffer(encoded, np.float32), values)
    assert np.shares_memory(decode("none", encoded, spec_of(values)), values)


@pytest.mark.parametrize("codec", CODECS)
@given(st.binary(max_size=200), st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 20), max_size=3))
@settings(max_examples=200, deadline=None)
def test_garbage_is_refused_or_fits(codec, received, dtype, shape):
    spec = TensorSpec(name="t", dtype=dtype, shape=tuple(shape))
    try:
        values = decode(codec, received, spec)
    except FrameError:
        return
    assert (values.shape, values.dtype.name) == (spec.shape, dtype)


@pytest.mark.parametrize("codec", CODECS)
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_tensors_are_refused_or_fit(codec, data):
    values = relu_like(300)
    encoded = bytearray(encode(codec, values))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(encoded)))
    for received in (encoded, encoded[:cut], encoded + b"\0"):
        with suppress(FrameError):
            assert decode(codec, received, spec_of(values)).shape == values.shape


@pytest.mark.parametrize("codec", CODECS)
def test_a_wrong_length_is_refused_by_name(codec):
    values = relu_like(1000)
    encoded = bytes(encode(codec, values))
    for received in (b"", encoded[:-1], encoded + b"\0"):
        with pytest.raises(FrameError, match=r"'t' \(float32 \(1000,\)\) cannot be decoded from"):
            decode(codec, received, spec_of(values))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TensorSpec(name="t", dtype="float32", shape=(1 << 40,)), "would have 4398046511104 bytes"),
        (TensorSpec(name="t", dtype="object", shape=(1,)), "elements of 'object'"),
        (TensorSpec(name="t", dtype="float32", shape=(-1, -4)), "impossible shape"),
        (TensorSpec(name="t", dtype="float32", shape=(1,) * 65), "impossible shape"),
    ],
    ids=["too large", "no element type", "negative", "too deep"],
)
def test_an_impossible_announcement_is_refused_before_anything_is_read(spec, words):
    for codec in CODECS:
        with pytest.raises(FrameError, match=words):
            decode(codec, b"", spec)


def test_the_caller_says_how_large_a_tensor_may_be():
    values = relu_like(1000)
    assert decode("zstd", encode("zstd", values), spec_of(values), max_bytes=4000).size == 1000
    with pytest.raises(FrameError, match="at most 3999"):
        decode("zstd", encode("zstd", values), spec_of(values), max_bytes=3999)


def bombs():
    header = struct.pack("<B7xQ", 1, 0)
    zeros = bytes(1 << 28)
    return {"zstd": header + zstandard.compress(zeros), "lz4": header + lz4.block.compress(zeros, store_size=False)}


def test_a_bomb_does_not_go_off():
    spec = TensorSpec(name="t", dtype="float32", shape=(1000,))
    program = (
        "import resource, sys\n"
        "from node_agent.codecs import decode\n"
        "from node_agent.errors import FrameError\n"
        "from node_agent.messages import TensorSpec\n"
        "spec = TensorSpec(name='t', dtype='float32', shape=(1000,))\n"
        "received = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    decode(sys.argv[1], received, spec)\n"
        "except FrameError:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    for codec, bomb in bombs().items():
        with pytest.raises(FrameError):
            decode(codec, bomb, spec)
        run = subprocess.run(
            [sys.executable, "-c", program, codec], input=bomb, capture_output=True, check=True, timeout=60
        )
        assert int(run.stdout) < 20_000, f"{codec} took {run.stdout!r} KiB for a tensor of 4 kB"


def test_a_frame_that_hides_its_size_is_refused():
    content = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(4000))
    with pytest.raises(FrameError, match="want 4000"):
        decode("zstd", struct.pack("<B7xQ", 1, 0) + content, TensorSpec(name="t", dtype="float32", shape=(1000,)))


def test_a_block_that_cannot_hold_so_much_is_refused_before_memory_is_taken():
    with pytest.raises(FrameError, match="No lz4 block of 8 bytes"):
        decode("lz4", struct.pack("<B7xQ", 1, 0) + bytes(8), TensorSpec(name="t", dtype="float32", shape=(1 << 28,)))


@pytest.mark.parametrize("levels", [(-1.0, 0.0), (1e300, 0.0), (1.0, math.inf), (1.0, math.nan), (math.inf, 0.0)])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(FrameError, match="no levels"):
        decode("int8", struct.pack("<dd", *levels) + bytes(3), TensorSpec(name="t", dtype="float32", shape=(3,)))


def test_an_unknown_codec_is_refused_with_those_that_there_are():
    for act in (lambda: encode("gzip", relu_like(1)), lambda: decode("gzip", b"", spec_of(relu_like(1)))):
        with pytest.raises(CodecMissingError, match=r"no codec 'gzip'.*none, float16, int8, zstd, lz4"):
            act()


def test_elements_that_do_not_travel_are_refused():
    with pytest.raises(FrameError, match="cannot be encoded"):
        encode("none", np.array(["a"], dtype=object))


def test_many_threads_may_encode_at_once():
    tensors = [relu_like(20_000, seed=seed) for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        for codec in ("zstd", "lz4"):
            for values, obtained in zip(tensors, pool.map(partial(round_trip, codec), tensors), strict=True):
                assert same_bits(obtained, values)


WITHOUT_LIBRARIES = """
import sys
sys.modules["zstandard"] = sys.modules["lz4"] = None
import numpy as np
from node_agent.codecs import available_codecs, encode
from node_agent.errors import CodecMissingError
print(*available_codecs())
print(len(encode("int8", np.ones(10, np.float32))))
try:
    encode("lz4", np.ones(10))
except CodecMissingError as exc:
    print(exc)
"""


def test_a_machine_without_the_libraries_has_the_other_codecs():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES], capture_output=True, text=True, check=True, timeout=60
    )
    names, n_bytes, refusal = run.stdout.splitlines()
    assert names == "none float16 int8"
    assert n_bytes == "26"
    assert "install splitfront[compression]" in refusal


def test_this_machine_has_all_codecs():
    assert available_codecs() == CODECS


def test_each_codec_is_timed_at_each_size_in_each_round():
    request = CodecProfileRequest(codecs=CODECS, dtype="float32", sizes_bytes=(64, 40_000), n_rounds=3, seed=1)
    samples = time_codecs(request)
    assert sorted((sample.codec, sample.n_bytes) for sample in samples) == sorted(
        (codec, size) for codec in CODECS for size in (64, 40_000) for _ in range(3)
    )
    assert all(sample.encode_seconds > 0 and sample.decode_seconds > 0 for sample in samples)
    assert {sample.wire_bytes for sample in samples if (sample.codec, sample.n_bytes) == ("int8", 40_000)} == {10_016}


def test_an_emulated_device_codes_more_slowly():
    request = CodecProfileRequest(codecs=("int8",), dtype="float32", sizes_bytes=(400_000,), n_rounds=9, seed=1)
    plain, slow = (
        np.median([sample.encode_seconds for sample in time_codecs(request, factor)]) for factor in (1.0, 1000.0)
    )
    assert 300 < slow / plain < 3000
