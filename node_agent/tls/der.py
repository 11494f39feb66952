"""Just enough of DER to read certificates whose signature was verified. A node has no library for it."""

from collections.abc import Iterator

_LONG_FORM = 0x80
_MAX_LENGTH_BYTES = 4


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in `content`, one after another.

    Raises:
        ValueError: It is no DER.
    """
    at = 0
    while at < len(content):
        tag, start, end = _header(content, at)
        yield tag, content[start:end]
        at = end


def _header(content: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the element that begins at `at`."""
    if at + 2 > len(content) or content[at] & 0x1F == 0x1F:
        raise ValueError("an element is cut off, or has a tag of several bytes")
    tag, length, start = content[at], content[at + 1], at + 2
    if length & _LONG_FORM:
        n_bytes = length & ~_LONG_FORM
        if not 0 < n_bytes <= _MAX_LENGTH_BYTES:
            raise ValueError(f"a length has {n_bytes} bytes")
        length = int.from_bytes(content[start : start + n_bytes])
        start += n_bytes
    if start + length > len(content):
        raise ValueError(f"an element of {length} bytes is cut off")
    return tag, start, start + length


def only(content: bytes) -> bytes:
    """Content of the one element in `content`.

    Raises:
        ValueError: It is no DER, or several elements.
    """
    _, start, end = _header(content, 0)
    if end != len(content):
        raise ValueError("something follows the only element")
    return content[start:end]


def first(content: bytes) -> bytes:
    """Content of the first of several elements.

    Raises:
        ValueError: There is none.
    """
    _, start, end = _header(content, 0)
    return content[start:end]
