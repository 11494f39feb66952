"""The fields of a protobuf message, where they lie: nothing is copied, built or trusted.

A node has no `onnx` package, and a generated class would build objects of what is still to be judged. A reader that
only walks needs no memory, and says at which byte something is wrong.
"""

from collections.abc import Iterator

from node_agent.errors import ShardRejectedError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10

Field = tuple[int, int, int, int]
"""Number, wire type, then for `VARINT` its value twice, else where the content starts and stops."""


def fields(content: bytes, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message at `content[start:stop]`, in the order in which they lie.

    Raises:
        ShardRejectedError: It is cut off, or no protobuf.
    """
    at = start
    while at < stop:
        tag, at = read_varint(content, at, stop)
        number, kind = tag >> 3, tag & 7
        if kind == BYTES:
            length, first = read_varint(content, at, stop)
            at = first + length
            if at > stop:
                raise ShardRejectedError(
                    f"The graph is cut off: a field at byte {first} announces {length} bytes, {stop - first} are there."
                )
            yield number, kind, first, at
        elif kind == VARINT:
            value, at = read_varint(content, at, stop)
            yield number, kind, value, value
        elif kind in _FIXED_BYTES:
            first, at = at, at + _FIXED_BYTES[kind]
            if at > stop:
                raise ShardRejectedError(f"The graph is cut off at byte {first}.")
            yield number, kind, first, at
        else:
            raise ShardRejectedError(f"The graph is no ONNX: wire type {kind} at byte {at} is none that ONNX has.")


def read_varint(content: bytes, at: int, stop: int) -> tuple[int, int]:
    """The number at `at` in base 128, least digit first, and where the next field is.

    Raises:
        ShardRejectedError: It is cut off or too long.
    """
    value = shift = 0
    for position in range(at, min(at + _MAX_VARINT_BYTES, stop)):
        digit = content[position]
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            return value, position + 1
        shift += 7
    what = "is cut off" if at + _MAX_VARINT_BYTES > stop else "is no ONNX: a number is too long"
    raise ShardRejectedError(f"The graph {what} at byte {at}.")


def signed(value: int) -> int:
    """A varint as the int64 that it stands for; longer ones lose what an int64 does not hold, as in protobuf."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
