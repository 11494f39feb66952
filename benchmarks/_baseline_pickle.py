"""The baseline of the field: PyTorch eager in each process, pickled tensors over TCP, one thread for each process.

The one place of this project that pickles. Partitioned-inference research, the work that this project repeats included
(ParetoPipe, arXiv 2601.08025), sends its tensors so, and the claim is a ratio to that. Nothing here is imported by what
is shipped; both ends of each socket are processes of this benchmark on loopback.

Each message is its length in eight bytes, then a pickled tensor. Receiving goes into one buffer and Nagle's algorithm
is off, which is kinder than what is usually written.
"""

import pickle
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from benchmarks._baseline_process import Workers, answer
from benchmarks._baseline_torch import torch_half, use_one_thread
from benchmarks._pipeline_contest import Contestant, Run, keep_in_flight
from coordinator.loadgen import Workload

_LENGTH = struct.Struct("<Q")
_HOST = "127.0.0.1"


class PickleBaseline(Contestant):
    """The client: sends to the first process, takes from the last."""

    name = "pickle"

    def __init__(self, workload: Workload, first: socket.socket, last: socket.socket) -> None:
        self._workload = workload
        self._first = first
        self._last = last
        (self._input,) = workload.inputs[0]
        (self._output,) = workload.expected[0]

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`."""
        return keep_in_flight(self._send, self._receive, self._workload, window=window, seconds=seconds)

    def _send(self, inputs: Mapping[str, np.ndarray]) -> None:
        send_tensor(self._first, torch.from_numpy(inputs[self._input]))

    def _receive(self, _: None) -> dict[str, np.ndarray]:
        tensor = receive_tensor(self._last)
        if tensor is None:
            raise SystemExit("The last process closed its socket instead of answering.")
        return {self._output: tensor.numpy()}


@contextmanager
def pickle_baseline(name: str, n_blocks: int, workload: Workload, cores: Sequence[int]) -> Iterator[PickleBaseline]:
    """Two processes with a half of the model each, connected to each other and to this one."""
    arguments = {core: (name, str(n_blocks), str(index)) for index, core in enumerate(cores)}
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((_HOST, 0)))
        workers = stack.enter_context(Workers(__spec__.name, arguments))
        ports = workers.hear()
        workers.tell([*ports[1:], str(listener.getsockname()[1])])
        first = stack.enter_context(_connect(int(ports[0])))
        last, _ = listener.accept()
        stack.enter_context(last)
        workers.hear()
        yield PickleBaseline(workload, first, last)


def serve(arguments: Sequence[str]) -> None:
    """One process: receives, computes, sends, one after the other, until what it receives from ends."""
    name, n_blocks, index = arguments
    use_one_thread()
    half = torch_half(name, int(n_blocks), int(index))
    with socket.create_server((_HOST, 0)) as listener:
        answer(str(listener.getsockname()[1]))
        with _connect(int(input())) as target, listener.accept()[0] as source:
            answer("ready")
            while (tensor := receive_tensor(source)) is not None:
                send_tensor(target, half(tensor))


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection((_HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send_tensor(connection: socket.socket, tensor: torch.Tensor) -> None:
    """Pickles a tensor and sends it."""
    content = pickle.dumps(tensor, protocol=pickle.HIGHEST_PROTOCOL)
    connection.sendall(_LENGTH.pack(len(content)))
    connection.sendall(content)


def receive_tensor(connection: socket.socket) -> torch.Tensor | None:
    """The next tensor; None when the other end has closed."""
    length = _receive_exactly(connection, _LENGTH.size)
    if length is None:
        return None
    content = _receive_exactly(connection, _LENGTH.unpack(length)[0])
    if content is None:
        return None
    tensor: torch.Tensor = pickle.loads(content)
    return tensor


def _receive_exactly(connection: socket.socket, n_bytes: int) -> bytearray | None:
    content = bytearray(n_bytes)
    view = memoryview(content)
    n_received = 0
    while n_received < n_bytes:
        n_more = connection.recv_into(view[n_received:])
        if n_more == 0:
            return None
        n_received += n_more
    return content
