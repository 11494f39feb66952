"""What travels over the data plane."""

from dataclasses import dataclass

import numpy as np

from node_agent.messages.stages import LinkEmulation


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTrace:
    """What one stage spent on one request, by its own clock."""

    stage: int
    queue_seconds: float
    decode_seconds: float
    compute_seconds: float
    encode_seconds: float

    @property
    def inside_seconds(self) -> float:
        """From the request's arrival until its answer was ready to be sent."""
        return self.queue_seconds + self.decode_seconds + self.compute_seconds + self.encode_seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodedTensor:
    """A tensor as a codec left it. One that came from the wire may be anything."""

    codec: str
    dtype: str
    """Of the tensor, NumPy's name; so is the shape."""
    shape: tuple[int, ...]
    content: memoryview
    """Bytes; those of a decoded frame are a view of the received ones."""


@dataclass(slots=True)
class TensorFrame:
    """Tensors of one request on their way to a stage, or to the client.

    To be treated as frozen: each message makes one at both ends, and a frozen one takes three times as long to make.
    """

    deployment: str
    epoch: int
    request: int
    stage: int
    tensors: tuple[tuple[str, np.ndarray | CodedTensor], ...]
    """(name, values); arrays of a received frame are read-only views of its bytes."""
    trace: tuple[StageTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFrame:
    """A request that ended in an error; travels on to the client like a result."""

    deployment: str
    epoch: int
    request: int
    stage: int
    """Stage that it goes to next."""
    error: str
    """Name of a class in `node_agent.errors`."""
    message: str
    """Names the stage and the node."""
    trace: tuple[StageTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFrame:
    """A message whose only sense is its size; answered by `n_answers` of `answer_bytes`."""

    request: int
    payload: bytes | memoryview
    """A decoded one is a view of the received bytes."""
    link_back: LinkEmulation | None = None
    answer_bytes: int = 0
    n_answers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeFrame:
    """Asks the node of the last stage for the results of a deployment."""

    deployment: str
    epoch: int
    link_back: LinkEmulation | None = None


Frame = TensorFrame | ErrorFrame | ProbeFrame | SubscribeFrame
