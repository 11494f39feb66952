"""The outer message of a frame: `Frame { FrameHeader header = 1; bytes payload = 2; }`, written and read by hand.

Source: protobuf's encoding specification. A field is a tag and, here always, a length and so many bytes. The header
ends with zeroes (its field `padding`), so many that the payload starts at a multiple of 16 bytes.
"""

from node_agent.dataplane.limits import check_length
from node_agent.errors import FrameError

_HEADER_TAG = b"\x0a"
_PAYLOAD_TAG = b"\x12"
_PADDING_TAG = 0x5A
"""Of `FrameHeader.padding`, inside the header."""

_ALIGNMENT = 16
_PADDINGS = (b"", *(bytes((_PADDING_TAG, size - 2)) + bytes(size - 2) for size in range(2, 2 * _ALIGNMENT + 2)))
"""Paddings by rising size: one byte alone cannot be, since tag and length are two."""
_DIGITS = tuple(bytes((digit,)) for digit in range(0x100))

_MAX_VARINT_BYTES = 5


def opening(header: bytes, n_payload: int) -> tuple[bytes, int]:
    """All that stands before a payload of `n_payload` bytes, and where `header` ends in it.

    Raises:
        FrameError: The header is too long to be read.
    """
    check_length(len(header) + 2 * _ALIGNMENT)
    end = payload_start(n_payload)
    padding, n_padded = _fit(len(header), 1 + len(end))
    begin = start(n_padded) + header
    return begin + padding + end, len(begin)


def start(n_header: int) -> bytes:
    """What stands before a header of so many bytes, its padding included."""
    return _HEADER_TAG + varint(n_header)


def payload_start(n_payload: int) -> bytes:
    """What stands between header and payload."""
    return _PAYLOAD_TAG + varint(n_payload)


def _fit(n_header: int, n_others: int) -> tuple[bytes, int]:
    """The least padding that aligns the payload, and the header's size with it, whose own length may grow by it."""
    n_padding = -(n_others + len(varint(n_header)) + n_header) % _ALIGNMENT
    for size in range(max(n_padding - 1, 0), 2 * _ALIGNMENT + 2):
        if size != 1 and (n_others + len(varint(n_header + size)) + n_header + size) % _ALIGNMENT == 0:
            break
    return _PADDINGS[max(size - 1, 0)], n_header + size


def varint(value: int) -> bytes:
    """`value` in base 128, least digit first."""
    return _DIGITS[value] if value < 0x80 else _DIGITS[value & 0x7F | 0x80] + varint(value >> 7)


def is_padding(end: bytes) -> bool:
    """Whether a header that ends so has nothing but padding there, or nothing at all."""
    n_bytes = len(end)
    return n_bytes == 0 or (1 < n_bytes < 0x82 and end[0] == _PADDING_TAG and end[1] == n_bytes - 2)


def open_up(received: bytes | bytearray | memoryview) -> tuple[bytes, memoryview]:
    """Header and payload of a frame; the payload may be absent, nothing else may be there.

    Raises:
        FrameError: `received` is cut off, or is something else.
    """
    view = memoryview(received).toreadonly()
    if not received or view[:1] != _HEADER_TAG:
        raise FrameError(f"{len(received)} bytes came that are no frame: they do not start with a header.")
    start, stop = _extent(view, 1, "header")
    check_length(stop - start)
    header = bytes(view[start:stop])
    if stop == len(view):
        return header, view[stop:]
    if view[stop : stop + 1] != _PAYLOAD_TAG:
        raise FrameError(f"A frame of {len(view)} bytes has something else than a payload after its header.")
    start, end = _extent(view, stop + 1, "payload")
    if end != len(view):
        raise FrameError(f"A frame has {len(view) - end} bytes after its payload: want none.")
    return header, view[start:]


def _extent(view: memoryview, position: int, what: str) -> tuple[int, int]:
    """Where the length-prefixed bytes at `position` start and stop."""
    length = 0
    for n_read, digit in enumerate(view[position : position + _MAX_VARINT_BYTES]):
        length |= (digit & 0x7F) << 7 * n_read
        if digit < 0x80:
            start = position + n_read + 1
            if start + length > len(view):
                break
            return start, start + length
    raise FrameError(f"A frame of {len(view)} bytes is cut off, or has a wrong length, in its {what}.")
