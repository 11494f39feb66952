"""The two transports of the plane `tcp`, in clear and under TLS: bytes in and out of one connected socket."""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from node_agent.dataplane.encoded import Piece, byte_view

TICK_SECONDS = 0.5
"""A read that gets nothing gives up after as long, so that its caller can look at the time."""

_SMALL_BYTES = 1 << 12
"""Joining so few costs less than having them gathered."""
_MOST_PIECES = 1024
"""That one system call may gather (IOV_MAX)."""
_TIMEVAL = struct.Struct("@ll")
_CIPHER_BYTES = 1 << 18
"""Read from the socket at once, under TLS."""
_CHUNK_BYTES = 1 << 17
"""Encrypted before it is sent, so that the other end decrypts meanwhile; each chunk wakes it, which takes as long as
encrypting 50 kB, and larger ones fall out of the caches."""
_RECORD_BYTES = 1 << 14
"""Of TLS, at most; what fits into one is encrypted in one piece."""


class Transport(Protocol):
    """Bytes in and out. One thread reads while another writes; `shutdown` may be called by any."""

    def read_into(self, view: memoryview, *, is_whole: bool) -> int:
        """Waits for bytes and returns how many came, up to all of `view`; 0 where the other end has ended.

        Args:
            view: Where they go.
            is_whole: Whether to wait until it is full, as long as something comes; else any bytes will do.

        Raises:
            BlockingIOError: None came within `TICK_SECONDS`.
            OSError: The connection is broken.
        """
        ...

    def write(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """Writes all pieces, `n_bytes` together; waits while the other end takes nothing.

        Raises:
            OSError: The connection is broken, or shut down here.
        """
        ...

    def can_write(self) -> bool:
        """Whether a small piece would be written at once."""
        ...

    def finish(self) -> None:
        """Tells the other end that nothing more comes; what was written still arrives."""
        ...

    def shutdown(self) -> None:
        """Ends the connection; whoever reads or writes is woken."""
        ...

    def close(self) -> None:
        """Frees the socket, which nobody uses any more."""
        ...


def prepare(connected: socket.socket, patience_seconds: float) -> None:
    """Sets the options of a connected socket: no delay, no wait for ever in reads and for acknowledgements."""
    connected.settimeout(None)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience_seconds * 1000))
    # A timeout of Python's socket would cost a system call before each read.
    whole_seconds = int(TICK_SECONDS)
    timeout = _TIMEVAL.pack(whole_seconds, int((TICK_SECONDS - whole_seconds) * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)


class _Connected:
    """What both transports do with their socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def can_write(self) -> bool:
        """See `Transport`."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLOUT)
        except ValueError:  # closed
            return False
        return any(event & select.POLLOUT for _, event in poll.poll(0))

    def finish(self) -> None:
        """See `Transport`. The end of a stream is a record of ours, so that nobody can cut one off unseen under TLS."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def shutdown(self) -> None:
        """See `Transport`."""
        with suppress(OSError):  # it may be closed already, by either end
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See `Transport`."""
        self._socket.close()


class PlainTransport(_Connected):
    """In clear: one system call for each record, if the kernel takes it at once."""

    def read_into(self, view: memoryview, *, is_whole: bool) -> int:
        """See `Transport`."""
        return self._socket.recv_into(view, 0, socket.MSG_WAITALL if is_whole else 0)

    def write(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """See `Transport`."""
        if n_bytes <= _SMALL_BYTES:
            self._socket.sendall(b"".join(pieces))
            return
        sent = self._socket.sendmsg(pieces[:_MOST_PIECES])
        while sent < n_bytes:
            pieces, n_bytes = _without(pieces, sent), n_bytes - sent
            sent = self._socket.sendmsg(pieces[:_MOST_PIECES])


def _without(pieces: Sequence[Piece], n_bytes: int) -> Sequence[Piece]:
    """What is left of the pieces without their first `n_bytes`."""
    for index, piece in enumerate(pieces):
        view = byte_view(piece)
        if n_bytes < len(view):
            return [view[n_bytes:], *pieces[index + 1 :]]
        n_bytes -= len(view)
    return []


class TlsTransport(_Connected):
    """Under TLS. OpenSSL works on memory, so that its lock, which both directions need, is never held while one waits.

    `shake_hands` is to be called before anything else.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, *, server_name: str | None) -> None:
        """One end of a connection; `server_name` is what the other end's certificate must name, None at the server."""
        super().__init__(connected)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: Any = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._lock = threading.Lock()
        self._cipher = memoryview(bytearray(_CIPHER_BYTES))

    def shake_hands(self, deadline: float) -> None:
        """Comes to terms with the other end until a moment on `time.monotonic`.

        Raises:
            OSError: The connection is broken or slow; `ssl.SSLError` says what TLS has against the other end.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                with suppress(BlockingIOError):
                    self._fill()
                if time.monotonic() >= deadline:
                    raise TimeoutError("the handshake takes too long") from None
            except ssl.SSLError:
                with suppress(OSError):
                    self._flush()  # the alert that says why
                raise
            else:
                return self._flush()

    def peer_certificate(self) -> bytes:
        """That of the other end as DER, which the handshake has verified."""
        return bytes(self._tls.getpeercert(binary_form=True) or b"")

    def read_into(self, view: memoryview, *, is_whole: bool) -> int:
        """See `Transport`."""
        n_read = 0
        while True:
            with self._lock:
                try:
                    while n_read < len(view) and (n_more := self._tls.read(len(view) - n_read, view[n_read:])):
                        n_read += n_more
                except ssl.SSLEOFError:
                    return n_read
                except ssl.SSLWantReadError:
                    if n_read and not is_whole:
                        return n_read
                else:
                    return n_read
            try:
                self._fill()
            except BlockingIOError:
                if n_read:
                    return n_read
                raise

    def _fill(self) -> None:
        """Waits for cipher text."""
        n_read = self._socket.recv_into(self._cipher)
        with self._lock:
            if n_read:
                self._incoming.write(self._cipher[:n_read])
            else:
                self._incoming.write_eof()

    def write(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """See `Transport`."""
        if n_bytes <= _RECORD_BYTES:
            pieces = (b"".join(pieces),)
        for piece in pieces:
            view = byte_view(piece)
            for start in range(0, len(view), _CHUNK_BYTES):
                with self._lock:
                    self._tls.write(view[start : start + _CHUNK_BYTES])
                if self._outgoing.pending >= _CHUNK_BYTES:
                    self._flush()
        self._flush()

    def _flush(self) -> None:
        """Sends what is encrypted. Only the thread that writes may call it: the order of the bytes matters."""
        with self._lock:
            cipher = self._outgoing.read()
        if cipher:
            self._socket.sendall(cipher)
