"""The outer message of a frame: `Frame { FrameHeader header = 1; bytes payload = 2; }`, written and read by hand.

Source: protobuf's encoding specification. A field is a tag and, here always, a length and so many bytes. The header
ends with zeroes (its field `padding`), so many that the payload starts at a multiple of 16 bytes.
"""

from node_agent.dataplane.limits import check_length
from node_agent.errors import FrameError

_HEADER_TAG = 0x0A
_PAYLOAD_TAG = 0x12
_PADDING_TAG = 0x5A
"""Of `FrameHeader.padding`, inside the header."""

_ALIGNMENT = 16
_PADDINGS = (0, *range(2, _ALIGNMENT + 4))
"""Bytes that padding can take: none, or a tag, a length and zeroes. Enough for every remainder."""

_MAX_VARINT_BYTES = 5


def opening(header: bytes, n_payload: int) -> bytes:
    """All that stands before a payload of `n_payload` bytes.

    Raises:
        FrameError: The header is too long to be read.
    """
    check_length(len(header) + max(_PADDINGS))
    payload_length = _varint(n_payload)
    for n_padding in _PADDINGS:
        header_length = _varint(len(header) + n_padding)
        if (2 + len(header_length) + len(header) + n_padding + len(payload_length)) % _ALIGNMENT == 0:
            break
    padding = bytes((_PADDING_TAG, n_padding - 2)) + bytes(n_padding - 2) if n_padding else b""
    return b"".join(
        (bytes((_HEADER_TAG,)), header_length, header, padding, bytes((_PAYLOAD_TAG,)), payload_length),
    )


def _varint(value: int) -> bytes:
    """`value` in base 128, least digit first."""
    digits = bytearray()
    while value >> 7:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def open_up(received: bytes) -> tuple[bytes, memoryview]:
    """Header and payload of a frame; the payload may be absent, nothing else may be there.

    Raises:
        FrameError: `received` is cut off, or is something else.
    """
    view = memoryview(received)
    if not received or received[0] != _HEADER_TAG:
        raise FrameError(f"{len(received)} bytes came that are no frame: they do not start with a header.")
    start, stop = _extent(view, 1, "header")
    check_length(stop - start)
    header = bytes(view[start:stop])
    if stop == len(view):
        return header, view[stop:]
    if view[stop] != _PAYLOAD_TAG:
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
