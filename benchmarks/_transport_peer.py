"""The other process of `benchmarks.transport`: takes messages over every way at once and answers the marked ones.

Over the planes the receiver is the node's own: a Push stream decodes each frame to arrays and hands it to a stage,
whose place is taken by one that computes nothing; its answer goes out through an outbox and a Results stream.
"""

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import grpc
import numpy as np

from node_agent.agent import Agent
from node_agent.channel_options import server_credentials, server_options
from node_agent.config import AgentConfig, TlsFiles
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.frame import encode
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.stage import Arrival
from node_agent.dataplane.tcp.listener import TcpListener
from node_agent.dataplane.tcp.serving import Stages
from node_agent.messages import TensorFrame
from node_agent.service import DataPlaneServicer
from node_agent.tls.contexts import server_context
from node_agent.tls.live import LiveTls

ORDER = struct.Struct("<II")
"""Before messages over a bare socket: how many of them make a row, and how many rows come. A row is answered by one
byte."""
LENGTH = struct.Struct("<I")
"""Before each message."""
ANSWERED = 1 << 20
"""Requests from this number on are answered."""


class IdleStage:
    """Takes the place of a stage: hands on a small tensor for each request that is to be answered."""

    def __init__(self) -> None:
        self.load = SimpleNamespace(epoch=1)
        self.failure = FailureLatch()
        self.outbox = Outbox()
        self._values = np.zeros(1, np.float32)

    def offer(self, arrival: Arrival) -> None:
        """Takes a frame in."""
        request = arrival.frame.request
        if request >= ANSWERED:
            tensors = (("done", self._values),)
            frame = TensorFrame(deployment=arrival.frame.deployment, epoch=1, request=request, stage=1, tensors=tensors)
            self.outbox.send_bytes(encode(frame))


class IdleStages:
    """One stage for each deployment, made when it is asked for; a deployment is a way that is measured."""

    def __init__(self) -> None:
        self._stages: dict[str, IdleStage] = {}
        self._lock = threading.Lock()

    def find(self, deployment: str, _epoch: int, _stage: int) -> IdleStage:
        """The only stage."""
        stage = self._stages.get(deployment)
        if stage is None:
            with self._lock:
                stage = self._stages.setdefault(deployment, IdleStage())
        return stage

    def find_last(self, deployment: str, epoch: int) -> Outbox:
        """Where its answers come out."""
        return self.find(deployment, epoch, 0).outbox


def serve(pipe: Connection, tls: TlsFiles, folder: Path, core: int | None) -> None:
    """Serves until `pipe` is closed; says the ports of all ways first, by name. Stays on `core` where one is given."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    stages = IdleStages()
    servers: list[Callable[[], object]] = []
    ports = {}
    for name, files in (("", None), ("_tls", tls)):
        live = None if files is None else LiveTls(files)
        ports[f"bare{name}"] = _serve_bare(files)
        config = AgentConfig(name="peer", store=folder, tls=files)
        listener = TcpListener(cast("Stages", stages), config, 0)
        servers.append(listener.stop)
        ports[f"tcp{name}"] = listener.port
        handlers = [DataPlaneServicer(cast("Agent", SimpleNamespace(stages=stages)), 8, live).handler()]
        server = grpc.server(
            ThreadPoolExecutor(8), handlers=handlers, options=server_options(config.limits.message_bytes)
        )
        ports[f"grpc{name}"] = (
            server.add_insecure_port("127.0.0.1:0")
            if live is None
            else server.add_secure_port("127.0.0.1:0", server_credentials(live))
        )
        server.start()
        servers.append(lambda server=server: server.stop(None))
    pipe.send(ports)
    with suppress(EOFError):
        pipe.recv()
    for stop in servers:
        stop()


def _serve_bare(tls: TlsFiles | None) -> int:
    """Port of the bare loop: the least that can receive messages."""
    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_receive_bare, args=(listening, tls), daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def _receive_bare(listening: socket.socket, tls: TlsFiles | None) -> None:
    connected, _ = listening.accept()
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is not None:
        connected = server_context(tls).wrap_socket(connected, server_side=True)
    order = memoryview(bytearray(ORDER.size))
    length, buffer = memoryview(bytearray(LENGTH.size)), memoryview(bytearray(1 << 24))
    with suppress(EOFError, ssl.SSLError), connected:
        while True:
            fill(connected, order)
            n_messages, n_rows = ORDER.unpack(order)
            for _ in range(n_rows):
                for _ in range(n_messages):
                    fill(connected, length)
                    fill(connected, buffer[: LENGTH.unpack(length)[0]])
                connected.sendall(b"\1")


def fill(connected: socket.socket, view: memoryview) -> None:
    """Reads as many bytes as `view` has.

    Raises:
        EOFError: The other end has ended.
    """
    n_read = 0
    while n_read < len(view):
        n_more = connected.recv_into(view[n_read:])
        if not n_more:
            raise EOFError
        n_read += n_more
