import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.measurement import Estimate
from coordinator.report import quantities


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (1.5e-9, "1.50 ns"),
        (45e-6, "45.0 µs"),
        (0.0123, "12.3 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.00 s"),
        (83.0, "83.0 s"),
        (-0.0021, "−2.10 ms"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
    ],
)
def test_seconds_take_the_scale_that_keeps_three_digits(value: float | None, text: str) -> None:
    assert quantities.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (602_112, "588 KiB"),
        (2**20 - 1, "1.00 MiB"),
        (2**31, "2.00 GiB"),
    ],
)
def test_bytes_are_binary(value: int, text: str) -> None:
    assert quantities.n_bytes(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.024, "+2.4 %"), (-0.029, "−2.9 %"), (0.0, "0.0 %"), (-0.0001, "0.0 %"), (1.27, "+127 %"), (math.nan, "–")],
)
def test_percent_is_signed_and_zero_has_no_sign(fraction: float, text: str) -> None:
    assert quantities.percent(fraction, is_signed=True) == text


def test_numbers_that_round_up_do_not_gain_a_digit() -> None:
    assert quantities.number(9.996) == "10.0"
    assert quantities.number(99.96) == "100"
    assert quantities.number(12_345.6) == "12,346"
    assert quantities.number(0.00012345) == "0.000123"


def test_other_units() -> None:
    assert quantities.flops(301_000_000) == "301 MFLOP"
    assert quantities.flops(0) == "–"
    assert quantities.rate(17.72) == "17.7 /s"
    assert quantities.ratio(2.342) == "2.34 ×"
    assert quantities.byte_rate(12e6) == "11.4 MiB/s"
    assert quantities.relative_error(1.26e-6) == "1.3e-6"
    assert quantities.interval(Estimate(value=2, low=0.0011, high=0.0022), quantities.seconds) == "1.10 ms – 2.20 ms"


@given(st.floats(min_value=1e-9, max_value=1e6))
def test_a_shown_number_is_within_half_a_percent(value: float) -> None:
    assert float(quantities.number(value).replace(",", "")) == pytest.approx(value, rel=0.006)
