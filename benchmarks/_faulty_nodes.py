"""Agents as processes behind proxies, so that each can be killed, frozen, cut off, reset and started again.

Everything is on loopback. A node that is *cut off* still runs; what is sent to it, or by it over a connection to its
address, gets stuck in the proxy, as it would behind a switch that died: no end of a connection hears of it.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_CHUNK_BYTES = 1 << 16
_START_SECONDS = 60.0


class Loop:
    """An event loop with a thread of its own, for all proxies."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What `work` returns, done by the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        """Ends the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Proxy:
    """Passes connections on to a port of this machine, unless it is told not to."""

    def __init__(self, loop: Loop, target_port: int) -> None:
        """Listens on a free port."""
        self._loop = loop
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port: int = loop.run(self._listen())

    async def _listen(self) -> int:
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        self._writers.add(writer)
        await self._is_open.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            self._reset(writer)
            return
        self._writers.add(far_writer)
        try:
            with suppress(asyncio.CancelledError):  # when the proxy is closed
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            for one in (writer, far_writer):
                self._writers.discard(one)
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(_CHUNK_BYTES):
                await self._is_open.wait()
                writer.write(content)
                await writer.drain()
        await self._is_open.wait()  # not even the end of a connection is heard
        with suppress(OSError):
            writer.close()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        """Ends a connection by a TCP reset."""
        self._writers.discard(writer)
        with suppress(OSError):
            near = writer.get_extra_info("socket")
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    def cut(self) -> None:
        """Lets nothing pass any more; connections stay open."""
        self._loop.loop.call_soon_threadsafe(self._is_open.clear)

    def mend(self) -> None:
        """Lets everything pass again, what got stuck first."""
        self._loop.loop.call_soon_threadsafe(self._is_open.set)

    def reset(self) -> None:
        """Resets all connections; new ones pass."""

        async def reset_all() -> None:
            for writer in tuple(self._writers):
                self._reset(writer)

        self._loop.run(reset_all())

    def close(self) -> None:
        """Ends all connections."""

        async def end() -> None:
            self._server.close()
            for writer in tuple(self._writers):
                self._reset(writer)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._loop.run(end())


class FaultyNode:
    """An agent behind a proxy. Its port and its address stay when it is started again."""

    def __init__(self, loop: Loop, folder: Path, name: str, options: Sequence[str]) -> None:
        """Starts it."""
        self.name = name
        self._folder = folder
        self._options = tuple(options)
        self._port = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.start()
        self._proxy = Proxy(loop, self._port)
        self.address = f"127.0.0.1:{self._proxy.port}"

    def start(self) -> None:
        """Starts the agent, after a kill with the store as it was and no stages."""
        command = [sys.executable, "-m", "node_agent", "--listen", f"127.0.0.1:{self._port}", "--name", self.name]
        command += ["--store", str(self._folder / "store"), "--threads", "1", "--exit-with-stdin", *self._options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, start_new_session=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"Agent {self.name} did not start: see {self._folder / 'log'}.")
        self._port = int(json.loads(line)["address"].rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.wait(_START_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def restart_empty(self) -> None:
        """Kills it, loses its store, and starts it again at once."""
        self.kill()
        shutil.rmtree(self._folder / "store")
        self.start()

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self._process.pid, signal.SIGCONT)

    def cut(self) -> None:
        """Cuts it off."""
        self._proxy.cut()

    def mend(self) -> None:
        """Undoes `cut`."""
        self._proxy.mend()

    def reset(self) -> None:
        """Resets all connections to it."""
        self._proxy.reset()

    def close(self) -> None:
        """Ends the agent and its proxy."""
        self._proxy.mend()
        self._proxy.close()
        self.thaw()
        self.kill()


@contextmanager
def faulty_nodes(folder: Path, names: Sequence[str], options: Sequence[str] = ()) -> Iterator[dict[str, FaultyNode]]:
    """Nodes by name, for as long as the context lasts."""
    loop = Loop()
    nodes: dict[str, FaultyNode] = {}
    try:
        for name in names:
            nodes[name] = FaultyNode(loop, folder / name, name, options)
        yield nodes
    finally:
        for node in nodes.values():
            with suppress(ProcessLookupError):
                node.close()
        loop.close()
