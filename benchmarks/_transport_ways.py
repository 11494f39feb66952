"""The ways that `benchmarks.transport` compares: a bare socket loop and the two data planes, in clear and under TLS."""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from benchmarks._transport_peer import ANSWERED, LENGTH, ORDER, fill
from node_agent.config import TlsFiles
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.messages import SubscribeFrame, TensorFrame
from node_agent.tls.contexts import client_context

HOST = "127.0.0.1"


class Way(Protocol):
    """Carries messages to the other process."""

    def rows(self, n_bytes: int, n_messages: int, n_rows: int) -> list[float]:
        """Seconds of each row: `n_messages` of `n_bytes` each are sent, the last is answered, the answer has come."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class BareLoop:
    """A length and the bytes here, `recv_into` one buffer there, one byte back: the least that can carry messages."""

    def __init__(self, port: int, tls: TlsFiles | None) -> None:
        self._socket = socket.create_connection((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = client_context(tls).wrap_socket(self._socket, server_hostname=HOST)
        self._answer = memoryview(bytearray(1))

    def rows(self, n_bytes: int, n_messages: int, n_rows: int) -> list[float]:
        """See `Way`."""
        message = memoryview(_values(n_bytes)).cast("B")
        pieces = (LENGTH.pack(len(message)), message)
        self._socket.sendall(ORDER.pack(n_messages, n_rows))
        time.sleep(0.002)  # until the other end waits for the first message

        def send_row() -> None:
            for _ in range(n_messages):
                self._send(*pieces)
            fill(self._socket, self._answer)

        return _timed(send_row, n_rows)

    def _send(self, length: bytes, message: memoryview) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.sendall(length)
            self._socket.sendall(message)
        elif (n_sent := self._socket.sendmsg((length, message))) < len(length) + len(message):
            self._socket.sendall(message[n_sent - len(length) :])

    def close(self) -> None:
        """Ends it."""
        self._socket.close()


class PlaneLoop:
    """A frame of one float32 tensor through a plane's sender; a tensor of one element back through a subscription."""

    def __init__(self, plane: str, port: int, tls: TlsFiles | None) -> None:
        address = f"{HOST}:{port}"
        self._deployment = f"{plane}{'_tls' if tls else ''}"
        self._sender = open_sender(plane, address, tls=tls)
        self._results = subscribe(plane, address, SubscribeFrame(deployment=self._deployment, epoch=1), tls=tls)

    def rows(self, n_bytes: int, n_messages: int, n_rows: int) -> list[float]:
        """See `Way`."""
        values = _values(n_bytes)

        def send_row() -> None:
            for left in range(n_messages, 0, -1):
                self._sender.send(self._frame(values, request=ANSWERED if left == 1 else 0))
            next(self._results)

        return _timed(send_row, n_rows)

    def _frame(self, values: np.ndarray, request: int) -> TensorFrame:
        tensors = (("boundary", values),)
        return TensorFrame(deployment=self._deployment, epoch=1, request=request, stage=0, tensors=tensors)

    def close(self) -> None:
        """Ends it."""
        self._sender.close()
        self._results.close()


def _values(n_bytes: int) -> np.ndarray:
    return np.random.default_rng(n_bytes).random(n_bytes // 4, np.float32)


def _timed(send_row: Callable[[], None], n_rows: int) -> list[float]:
    seconds = []
    for _ in range(n_rows):
        began = time.perf_counter()
        send_row()
        seconds.append(time.perf_counter() - began)
    return seconds


def open_ways(ports: dict[str, int], tls: TlsFiles) -> dict[str, Way]:
    """All ways, by the names of their ports."""
    ways: dict[str, Way] = {}
    for suffix, files in (("", None), ("_tls", tls)):
        ways[f"bare{suffix}"] = BareLoop(ports[f"bare{suffix}"], files)
        for plane in ("tcp", "grpc"):
            ways[f"{plane}{suffix}"] = PlaneLoop(plane, ports[f"{plane}{suffix}"], files)
    return ways
