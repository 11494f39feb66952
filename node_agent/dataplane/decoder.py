"""Decoding the frames of one stream, which have all but request and trace in common."""

import struct
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from node_agent.dataplane import envelope
from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.encoder import REQUEST_TAG, shared_header
from node_agent.dataplane.frame import decode, read_own
from node_agent.messages import Frame, StageTrace, TensorFrame

_REMEMBERED_BYTES = 4096
"""A longer header is read anew each time: no peer can make a node remember more."""
_MOST_DIGITS = 10
"""Of a request with its tag, as long as it fits into 64 bits whatever its digits are."""
_array = np.ndarray


class FrameDecoder:
    """Decodes a stream's frames; one that is like the last one takes a third of the time. Used by one thread."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def decode(self, received: Buffer) -> Frame:
        """As `frame.decode`, of bytes that nobody changes.

        Raises:
            FrameError: The bytes are no frame, or lengths, shapes and element types do not fit each other.
        """
        if (known := self._known) is not None and (frame := known.read(received)) is not None:
            return frame
        read = decode(received)
        if isinstance(read, TensorFrame):
            self._known = _known_of(memoryview(received), read)
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What a frame was like: the bytes around a request's own, and what they mean."""

    opening: struct.Struct
    """Of three strings: what frames share, a request's own, what frames share again."""
    before: bytes
    after: bytes
    n_bytes: int
    deployment: str
    epoch: int
    stage: int
    tensors: tuple[tuple[str, tuple[int, ...], np.dtype, int], ...]
    """(name, shape, element type, offset in the frame)."""

    def read(self, received: Buffer) -> TensorFrame | None:
        """The frame, where it is like this one."""
        if len(received) != self.n_bytes:
            return None
        before, own, after = self.opening.unpack_from(received)
        if before != self.before or after != self.after:
            return None
        trace: tuple[StageTrace, ...] = ()
        if (request := _request_alone(own)) is None:
            if (read := read_own(own)) is None or len(read[1]) > self.stage:
                return None
            request, trace = read
        tensors = []
        for name, shape, dtype, at in self.tensors:
            tensors.append((name, _array(shape, dtype, received, at)))
        return TensorFrame(self.deployment, self.epoch, request, self.stage, tuple(tensors), trace)


def _request_alone(own: bytes) -> int | None:
    """The request, where nothing but padding follows it in the part of a header that frames do not share."""
    if own[:1] != REQUEST_TAG:
        return None
    request = n_bits = 0
    for digit in own[1:_MOST_DIGITS]:
        request |= (digit & 0x7F) << n_bits
        n_bits += 7
        if digit < 0x80:
            return request if envelope.is_padding(own[1 + n_bits // 7 :]) else None
    return None


def _known_of(received: memoryview, frame: TensorFrame) -> _Known | None:
    """What is to be known of a frame; None where it is long or coded, or was written by another encoder than ours."""
    header, payload = envelope.open_up(received)
    arrays = [(name, values) for name, values in frame.tensors if isinstance(values, np.ndarray)]
    if len(header) > _REMEMBERED_BYTES or len(arrays) < len(frame.tensors):
        return None
    specs = [(name, values.dtype, values.shape) for name, values in arrays]
    shared = shared_header(frame.deployment, frame.epoch, frame.stage, specs)
    before = envelope.start(len(header)) + shared
    after = envelope.payload_start(len(payload))
    n_opening = len(received) - len(payload)
    n_own = n_opening - len(before) - len(after)
    opening = bytes(received[:n_opening])
    if n_own < 0 or not opening.startswith(before) or not opening.endswith(after):
        return None
    offsets = accumulate((values.nbytes for _, values in arrays), initial=n_opening)
    return _Known(
        opening=struct.Struct(f"{len(before)}s{n_own}s{len(after)}s"),
        before=before,
        after=after,
        n_bytes=len(received),
        deployment=frame.deployment,
        epoch=frame.epoch,
        stage=frame.stage,
        tensors=tuple((name, shape, dtype, at) for (name, dtype, shape), at in zip(specs, offsets, strict=False)),
    )
