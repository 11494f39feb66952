"""Which ONNX graphs a node lets its runtime see: judged on the bytes, with bounds, before anything is built of them.

Source of the numbers of fields: onnx.proto of ONNX 1.23. What a newer one adds is skipped, as protobuf does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from node_agent.errors import ShardRejectedError
from node_agent.host.trials.wire_fields import BYTES, VARINT, fields, read_varint, signed
from node_agent.limits import size_text

MAX_GRAPH_BYTES = 64 << 20
"""Of a graph without its weights, which lie in blobs: a hundred times that of the largest model in the tests."""
MAX_NODES = 65_536
"""Those of bodies included."""
MAX_DEPTH = 16
"""Of bodies in bodies, and of types in types."""
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Whose operators onnxruntime brings itself. Others would come from a library."""
REFUSED_OPERATORS = frozenset({"EPContext"})
"""What makes the runtime read files of its own choice: a compiled context, by path."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_SHOWN_CHARACTERS = 80
_BITS = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    21: 4,
    22: 4,
    23: 4,
    25: 2,
    26: 2,
    27: 6,
    28: 6,
}
"""Of one element, by number of its type; text, and types that ONNX has yet to get, count one bit at least."""


class TooLargeError(ShardRejectedError):
    """The graph wants more memory than there is; the message says what does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphBounds:
    """What a graph may refer to and want."""

    blobs: Mapping[str, int]
    """Bytes of each blob that its shard names, by digest."""
    memory_bytes: int
    """That the node has left: no tensor may be larger."""


def check_graph(content: bytes, bounds: GraphBounds) -> None:
    """Makes sure that the runtime may see a graph.

    Raises:
        ShardRejectedError: It may not; the message says what is wrong in one line.
        TooLargeError: It wants more than `bounds.memory_bytes`.
    """
    if not content:
        raise ShardRejectedError("The graph is an empty file.")
    if len(content) > MAX_GRAPH_BYTES:
        raise ShardRejectedError(
            f"The graph has {size_text(len(content))}, at most {size_text(MAX_GRAPH_BYTES)} are taken: "
            "weights belong into blobs."
        )
    _Judge(content, bounds).model()


class _Judge:
    """One graph being judged. Each method reads one kind of message, between two bytes of the content."""

    def __init__(self, content: bytes, bounds: GraphBounds) -> None:
        self._content = content
        self._bounds = bounds
        self._n_nodes = 0
        self._tensor_bytes = 0

    def model(self) -> None:
        """The whole file."""
        n_graphs = 0
        for number, start, stop in self._messages(0, len(self._content)):
            if number == 7:
                n_graphs += 1
                self._graph(start, stop, 1)
            elif number == 20:
                raise ShardRejectedError("The graph brings training steps: a node runs inference only.")
            elif number == 25:
                raise ShardRejectedError(
                    "The graph brings functions of its own: write their bodies where they are called."
                )
        if not n_graphs:
            raise ShardRejectedError("The file is no ONNX model: it holds no graph.")

    def _messages(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Fields that have a length: (number, start, stop)."""
        for number, kind, first, last in fields(self._content, start, stop):
            if kind == BYTES:
                yield number, first, last

    def _graph(self, start: int, stop: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ShardRejectedError(f"The graph has bodies in bodies, more than {MAX_DEPTH} deep.")
        for number, first, last in self._messages(start, stop):
            if number == 1:
                self._node(first, last, depth)
            elif number == 5:
                self._tensor(first, last)
            elif number in (11, 12, 13):
                self._value(first, last)
            elif number == 15:
                self._sparse(first, last)

    def _node(self, start: int, stop: int, depth: int) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise ShardRejectedError(f"The graph has more than {MAX_NODES} nodes.")
        operator = domain = ""
        for number, first, last in self._messages(start, stop):
            if number == 4:
                operator = self._text(first, last)
            elif number == 7:
                domain = self._text(first, last)
            elif number == 5:
                self._attribute(first, last, depth)
        if domain not in DOMAINS:
            known = ", ".join(sorted(filter(None, DOMAINS)))
            raise ShardRejectedError(
                f"The graph wants the operator {_shown(operator)} of the domain {_shown(domain)}: a node loads no "
                f"libraries of operators, and knows {known}."
            )
        if operator in REFUSED_OPERATORS:
            raise ShardRejectedError(
                f"The graph wants the operator {_shown(operator)}, which reads files by their paths."
            )

    def _attribute(self, start: int, stop: int, depth: int) -> None:
        for number, first, last in self._messages(start, stop):
            if number in (5, 10):
                self._tensor(first, last)
            elif number in (6, 11):
                self._graph(first, last, depth + 1)
            elif number in (14, 15):
                self._type("an attribute", first, last, 1)
            elif number in (22, 23):
                self._sparse(first, last)

    def _tensor(self, start: int, stop: int) -> int:
        """Judges a tensor and gives its bits per element."""
        name, bits, sizes, place = "", 1, [], {}
        for number, kind, first, last in fields(self._content, start, stop):
            if number == 1:
                sizes += self._sizes(kind, first, last)
            elif number == 2 and kind == VARINT:
                bits = _BITS.get(first, 1)
            elif number == 8 and kind == BYTES:
                name = self._text(first, last)
            elif number == 13 and kind == BYTES:
                key, value = self._pair(first, last)
                place[key] = value
        n_bytes = self._check_sizes(name, sizes, bits)
        self._tensor_bytes += n_bytes
        if self._tensor_bytes > self._bounds.memory_bytes:
            raise TooLargeError(f"its weights have {self._tensor_bytes} bytes, or more")
        if place:
            self._check_place(name, place, n_bytes)
        return bits

    def _sizes(self, kind: int, first: int, last: int) -> list[int]:
        """One size, or several that are packed."""
        if kind == VARINT:
            return [signed(first)]
        sizes = []
        at = first
        while kind == BYTES and at < last:
            value, at = read_varint(self._content, at, last)
            sizes.append(signed(value))
        return sizes

    def _sparse(self, start: int, stop: int) -> None:
        """A sparse tensor, which the runtime makes dense."""
        bits, sizes = 1, []
        for number, kind, first, last in fields(self._content, start, stop):
            if number in (1, 2) and kind == BYTES:
                of_these = self._tensor(first, last)
                bits = of_these if number == 1 else bits
            elif number == 3:
                sizes += self._sizes(kind, first, last)
        self._tensor_bytes += self._check_sizes("a sparse one", sizes, bits)

    def _check_sizes(self, name: str, sizes: list[int], bits: int) -> int:
        """Bytes of a tensor with these sizes, where the unknown ones are left out."""
        n_elements = 1
        for size in sizes:
            if size < 0:
                raise ShardRejectedError(f"Tensor {_shown(name)} has the negative size {size}.")
            n_elements *= max(size, 1)  # one size of zero must not hide others
            if n_elements * bits >> 3 > self._bounds.memory_bytes:
                raise TooLargeError(f"tensor {_shown(name)} has the sizes {_shown_sizes(sizes)}")
        return 0 if 0 in sizes else n_elements * bits >> 3

    def _check_place(self, name: str, place: Mapping[str, str], n_bytes: int) -> None:
        """Where the values of a tensor lie outside the graph: in a blob of its shard, and nowhere else."""
        location = place.get("location", "")
        if not _DIGEST.fullmatch(location):
            raise ShardRejectedError(
                f"Tensor {_shown(name)} lies in {_shown(location)}: want the digest of a blob, never a path."
            )
        if location not in self._bounds.blobs:
            raise ShardRejectedError(f"Tensor {_shown(name)} lies in blob {location}, which the shard does not name.")
        offset, length = place.get("offset", "0"), place.get("length", str(n_bytes))
        for key, text in (("offset", offset), ("length", length)):
            if not _NUMBER.fullmatch(text):
                raise ShardRejectedError(f"Tensor {_shown(name)} has the {key} {_shown(text)}: want a whole number.")
        has = self._bounds.blobs[location]
        if int(offset) + int(length) > has:
            raise ShardRejectedError(
                f"Tensor {_shown(name)} wants bytes {offset} to {int(offset) + int(length)} of blob {location}, "
                f"which has {has}."
            )

    def _pair(self, start: int, stop: int) -> tuple[str, str]:
        key = value = ""
        for number, first, last in self._messages(start, stop):
            if number == 1:
                key = self._text(first, last)
            elif number == 2:
                value = self._text(first, last)
        return key, value

    def _value(self, start: int, stop: int) -> None:
        """An input, an output, or what is said of a tensor in between."""
        name, types = "", []
        for number, first, last in self._messages(start, stop):
            if number == 1:
                name = self._text(first, last)
            elif number == 2:
                types.append((first, last))
        for first, last in types:
            self._type(name, first, last, 1)

    def _type(self, name: str, start: int, stop: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ShardRejectedError(f"Tensor {_shown(name)} has a type of types, more than {MAX_DEPTH} deep.")
        for number, first, last in self._messages(start, stop):
            if number in (1, 8):
                self._tensor_type(name, first, last)
            elif number in (4, 9):
                self._inner_types(name, first, last, depth, 1)
            elif number == 5:
                self._inner_types(name, first, last, depth, 2)

    def _inner_types(self, name: str, start: int, stop: int, depth: int, wanted: int) -> None:
        for number, first, last in self._messages(start, stop):
            if number == wanted:
                self._type(name, first, last, depth + 1)

    def _tensor_type(self, name: str, start: int, stop: int) -> None:
        bits = 1
        sizes: list[int] = []
        for number, kind, first, last in fields(self._content, start, stop):
            if number == 1 and kind == VARINT:
                bits = _BITS.get(first, 1)
            elif number == 2 and kind == BYTES:
                sizes += self._shape(first, last)
        self._check_sizes(name, sizes, bits)

    def _shape(self, start: int, stop: int) -> Iterator[int]:
        """The sizes that are numbers."""
        for number, first, last in self._messages(start, stop):
            if number == 1:
                for number_inside, kind, value, _ in fields(self._content, first, last):
                    if number_inside == 1 and kind == VARINT:
                        yield signed(value)

    def _text(self, start: int, stop: int) -> str:
        return self._content[start:stop].decode(errors="replace")


def _shown(text: str) -> str:
    """Another machine's word as a message may show it: short, and on one line."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…")


def _shown_sizes(sizes: list[int]) -> str:
    return " × ".join(map(str, sizes[:8])) + (" × …" if len(sizes) > 8 else "")
