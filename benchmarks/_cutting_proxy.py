"""A way to an agent that can be cut, delayed and counted."""

import contextlib
import queue
import socket
import threading
import time


class CuttingProxy:
    """Passes bytes on between its callers and one address, both ways, each piece after a delay.

    `cut_after(n)` resets all connections when so many more bytes have gone to the node; later ones are taken again.
    """

    def __init__(self, target: str, delay_seconds: float = 0.0):
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._delay_seconds = delay_seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.n_forwarded = 0
        self.n_cuts = 0
        self._left = None
        self._is_mute = False
        self._lock = threading.Lock()
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        self._reset()

    def cut_after(self, n_bytes):
        with self._lock:
            self._left = n_bytes

    def fall_silent_after(self, n_bytes):
        """As `cut_after`, but nobody is told: bytes are swallowed on the connections of now."""
        with self._lock:
            self._left, self._is_mute = n_bytes, True

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                node = socket.create_connection(self._target)
                for end in (caller, node):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [caller, node]
                self._carry(caller, node, is_upward=True)
                self._carry(node, caller, is_upward=False)

    def _carry(self, source, target, *, is_upward):
        pieces = queue.SimpleQueue()

        def read():
            with contextlib.suppress(OSError):
                while piece := source.recv(1 << 16):
                    pieces.put((time.monotonic() + self._delay_seconds, piece))
            pieces.put((0.0, b""))

        def write():
            with contextlib.suppress(OSError):
                while True:
                    due, piece = pieces.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not piece:
                        return target.shutdown(socket.SHUT_WR)
                    if is_upward and not self._count(len(piece)):
                        return None
                    target.sendall(piece)

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()

    def _count(self, n_bytes):
        """Whether these bytes may pass; cuts where they may not."""
        with self._lock:
            if self._left is None or self._left >= n_bytes:
                self._left = None if self._left is None else self._left - n_bytes
                self.n_forwarded += n_bytes
                return True
            self._left = None
            self.n_cuts += 1
            if self._is_mute:
                self._is_mute = False
                return False
        self._reset()
        return False

    def _reset(self):
        sockets, self._sockets = self._sockets, []
        for end in sockets:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RDWR)
            end.close()
