import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.address import parse_address
from coordinator.config.quantities import (
    duration_text,
    parse_bytes,
    parse_bytes_per_second,
    parse_loss,
    parse_seconds,
    rate_text,
)


@pytest.mark.parametrize(
    ("parse", "text", "wanted"),
    [
        (parse_bytes, "512MiB", 512 * 2**20),
        (parse_bytes, "512Mi", 512 * 2**20),
        (parse_bytes, " 4 GB ", 4e9),
        (parse_bytes, "1.5GiB", 1.5 * 2**30),
        (parse_bytes, "2000000B", 2e6),
        (parse_bytes_per_second, "50mbit", 6.25e6),
        (parse_bytes_per_second, "50 Mbit/s", 6.25e6),
        (parse_bytes_per_second, "1gbit", 1.25e8),
        (parse_bytes_per_second, "6.25MB/s", 6.25e6),
        (parse_bytes_per_second, "1MiB/s", 2**20),
        (parse_bytes_per_second, "unlimited", 0),
        (parse_seconds, "5ms", 0.005),
        (parse_seconds, ".5 s", 0.5),
        (parse_seconds, "250µs", 0.00025),
        (parse_seconds, 0, 0),
        (parse_seconds, "0", 0),
        (parse_loss, "0.1%", 0.001),
        (parse_loss, 0, 0),
    ],
)
def test_quantities_are_read(parse: Callable[[object], float], text: object, wanted: float) -> None:
    assert parse(text) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("parse", "text", "wanted"),
    [
        (parse_bytes, "512", "'512' is not a size: write 512MiB or 4GB"),
        (parse_bytes, 512, "512 is not a size with its unit: write 512MiB or 4GB"),
        (parse_bytes, 0, "0 is not a size with its unit"),
        (parse_bytes, "512mb", "'512mb' is not a size"),
        (parse_bytes, "-1GB", "'-1GB' is not a size"),
        (parse_bytes, "1e3GB", "'1e3GB' is not a size"),
        (parse_bytes, "infGB", "'infGB' is not a size"),
        (parse_bytes, "1kB", "'1kB' is out of range for a size"),
        (parse_bytes, None, "nothing is not a size"),
        (parse_bytes, [512], "a list is not a size"),
        (parse_bytes_per_second, "50 mbot", "'50 mbot' is not a rate: write 50mbit or 6MB/s"),
        (parse_bytes_per_second, "50mbps", "'50mbps' may be bits or bytes per second: write 50mbit or 6MB/s"),
        (parse_bytes_per_second, "50 Mb/s", "'50 Mb/s' is not a rate"),
        (parse_bytes_per_second, "0mbit", "'0mbit' is out of range for a rate"),
        (parse_seconds, 5, "5 is not a duration with its unit: write 5ms or 0.2s"),
        (parse_seconds, False, "a bool is not a duration"),
        (parse_seconds, "5 m", "'5 m' is not a duration"),
        (parse_seconds, "90s", "'90s' is out of range for a duration"),
        (parse_loss, 0.1, "0.1 is not a loss with its unit: write 0.1% or 2%"),
        (parse_loss, "80%", "'80%' is out of range for a loss"),
    ],
)
def test_what_is_no_quantity_is_refused_with_an_example(
    parse: Callable[[object], float], text: object, wanted: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(wanted)):
        parse(text)


@given(st.floats(1e3, 1e11))
def test_a_rate_survives_its_text(bytes_per_second: float) -> None:
    text = rate_text(bytes_per_second)
    if re.match(r"[0-9.]+ ", text):  # not 1e+04
        assert parse_bytes_per_second(text) == pytest.approx(bytes_per_second, rel=1e-3)


@given(st.text(max_size=12))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_bytes, parse_bytes_per_second, parse_seconds, parse_loss):
        with suppress(ValueError):
            assert 0 <= parse(text) < float("inf")


def test_figures_for_people() -> None:
    assert [rate_text(6.25e6), rate_text(1.25e8), rate_text(12500)] == ["50 Mbit/s", "1 Gbit/s", "100 kbit/s"]
    assert [duration_text(0.008), duration_text(0.00025), duration_text(1.5)] == ["8 ms", "0.25 ms", "1.5 s"]


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051, True),
        ("127.8.8.8:1", "127.8.8.8", 1, True),
        ("localhost:65535", "localhost", 65535, True),
        ("[::1]:50051", "::1", 50051, True),
        ("[fe80::1]:50051", "fe80::1", 50051, False),
        ("192.168.1.11:50051", "192.168.1.11", 50051, False),
        ("pi-1.local:50051", "pi-1.local", 50051, False),
        ("localhost.example:1", "localhost.example", 1, False),
    ],
)
def test_addresses_are_read(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)


@pytest.mark.parametrize("text", ["", "pi-1", ":1", "pi-1:", "pi-1:0", "pi-1:65536", "::1:5", "a b:1", "u@h:1", "h:1 "])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wanted host:port"):
        parse_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1"])
def test_addresses_to_listen_on_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is where a node listens"):
        parse_address(text)
