"""What comes in for a stage: held against what was announced when it was loaded, then decoded.

In this order, so that nothing is allocated for a coded tensor before its size was found to be the one that the stage
expects, however much its sender would like to have unpacked.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from node_agent import codecs
from node_agent.errors import FrameError
from node_agent.limits import DEFAULT_MESSAGE_BYTES
from node_agent.messages import CodedTensor, TensorFrame, TensorSpec


def receive(frame: TensorFrame, expected: Mapping[str, TensorSpec]) -> dict[str, np.ndarray]:
    """The tensors of a frame, decoded.

    Raises:
        FrameError: They are not those that are expected, or a coded one cannot be decoded.
        CodecMissingError: This node lacks a codec.
    """
    received = dict(frame.tensors)
    faults = sorted(_faults(received, expected))
    if faults:
        raise FrameError("tensors do not fit: " + "; ".join(faults))
    return {
        name: _decode(name, tensor, expected[name]) if isinstance(tensor, CodedTensor) else tensor
        for name, tensor in received.items()
    }


def _faults(received: Mapping[str, np.ndarray | CodedTensor], expected: Mapping[str, TensorSpec]) -> Iterator[str]:
    yield from (f"{name!r} is missing" for name in expected.keys() - received.keys())
    for name, tensor in received.items():
        wanted = expected.get(name)
        dtype = tensor.dtype if isinstance(tensor, CodedTensor) else tensor.dtype.name
        if wanted is None:
            yield f"{name!r} is not expected"
        elif dtype != wanted.dtype or not _fits(tensor.shape, wanted.shape):
            yield f"{name!r} is {dtype} of shape {tensor.shape}, want {wanted.dtype} of {wanted.shape}"


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape is as announced; a negative size stands for any."""
    return len(shape) == len(expected) and all(
        size == wanted or wanted < 0 for size, wanted in zip(shape, expected, strict=True)
    )


def _decode(name: str, tensor: CodedTensor, expected: TensorSpec) -> np.ndarray:
    """The tensor; of unknown size it may be as large as one that travels as it is."""
    is_open = any(size < 0 for size in expected.shape)
    spec = TensorSpec(name=name, dtype=tensor.dtype, shape=tensor.shape)
    most = DEFAULT_MESSAGE_BYTES if is_open else codecs.MAX_TENSOR_BYTES
    return codecs.decode(tensor.codec, tensor.content, spec, max_bytes=most)


def uncoded(frame: TensorFrame) -> dict[str, np.ndarray]:
    """The tensors of a frame that was asked for without codecs.

    Raises:
        FrameError: One is coded all the same.
    """
    tensors = {name: tensor for name, tensor in frame.tensors if not isinstance(tensor, CodedTensor)}
    if len(tensors) != len(frame.tensors):
        coded = next(tensor for _, tensor in frame.tensors if isinstance(tensor, CodedTensor))
        raise FrameError(f"Request {frame.request} came back in codec {coded.codec!r}: results travel as they are.")
    return tensors
