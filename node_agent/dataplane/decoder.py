"""Decoding the frames of one stream, which have all but request and trace in common."""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from node_agent.dataplane import envelope
from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.frame import decode, read_own, shared_header
from node_agent.element_types import DTYPES, type_name
from node_agent.messages import Frame, TensorFrame

_REMEMBERED_BYTES = 4096
"""A longer header is read anew each time: no peer can make a node remember more."""


class FrameDecoder:
    """Decodes a stream's frames; one that is like the last one takes a third of the time. Used by one thread."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def decode(self, received: Buffer) -> Frame:
        """As `frame.decode`.

        Raises:
            FrameError: The bytes are no frame, or lengths, shapes and element types do not fit each other.
        """
        view = memoryview(received).toreadonly()
        frame = self._known.read(view) if self._known is not None else None
        if frame is not None:
            return frame
        read = decode(view)
        if isinstance(read, TensorFrame):
            self._known = _known_of(view, read)
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What a frame was like: the bytes around a request's own, and what they mean."""

    before: bytes
    after: bytes
    n_opening: int
    n_bytes: int
    deployment: str
    epoch: int
    stage: int
    tensors: tuple[tuple[str, tuple[int, ...], np.dtype, int], ...]
    """(name, shape, element type, offset in the frame)."""

    def read(self, received: memoryview) -> TensorFrame | None:
        """The frame, where it is like this one."""
        opening = bytes(received[: self.n_opening])
        if len(received) != self.n_bytes or not opening.startswith(self.before) or not opening.endswith(self.after):
            return None
        own = read_own(opening[len(self.before) : self.n_opening - len(self.after)])
        if own is None or len(own[1]) > self.stage:
            return None
        request, trace = own
        return TensorFrame(
            deployment=self.deployment,
            epoch=self.epoch,
            request=request,
            stage=self.stage,
            tensors=tuple(
                [(name, np.ndarray(shape, dtype, received, offset)) for name, shape, dtype, offset in self.tensors]
            ),
            trace=trace,
        )


def _known_of(received: memoryview, frame: TensorFrame) -> _Known | None:
    """What is to be known of a frame; None where it is long or coded, or was written by another encoder than ours."""
    header, payload = envelope.open_up(received)
    arrays = [(name, values) for name, values in frame.tensors if isinstance(values, np.ndarray)]
    if len(header) > _REMEMBERED_BYTES or len(arrays) < len(frame.tensors):
        return None
    specs = tuple((name, type_name(values.dtype), values.shape, "", values.nbytes) for name, values in arrays)
    shared = shared_header(frame.deployment, frame.epoch, frame.stage, specs)
    before = envelope.start(len(header)) + shared
    after = envelope.payload_start(len(payload))
    n_opening = len(received) - len(payload)
    opening = bytes(received[:n_opening])
    if not opening.startswith(before) or not opening.endswith(after) or len(before) + len(after) > n_opening:
        return None
    offsets = accumulate((n_bytes for *_, n_bytes in specs), initial=n_opening)
    return _Known(
        before=before,
        after=after,
        n_opening=n_opening,
        n_bytes=len(received),
        deployment=frame.deployment,
        epoch=frame.epoch,
        stage=frame.stage,
        tensors=tuple(
            (name, shape, DTYPES[dtype], offset)
            for (name, dtype, shape, *_), offset in zip(specs, offsets, strict=False)
        ),
    )
