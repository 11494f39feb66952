"""The two transports of the plane `tcp`, in clear and under TLS: bytes in and out of one connected socket."""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from node_agent.dataplane.encoded import Buffer, Piece, byte_view

TICK_SECONDS = 0.5
"""A read that gets nothing gives up after as long, so that its caller can look at the time."""

_SMALL_BYTES = 1 << 12
"""Joining so few costs less than having them gathered."""
_MOST_PIECES = 1024
"""That one system call may gather (IOV_MAX)."""
_TIMEVAL = struct.Struct("@ll")
_TICK_MILLISECONDS = TICK_SECONDS * 1000
_CHUNK_BYTES = 1 << 18
"""Encrypted and sent, record by record, before the other direction has its turn."""
_RECORD_BYTES = 1 << 14
"""Of TLS, at most. Each costs a system call at both ends, so that small pieces share them."""
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it."""


class Transport(Protocol):
    """Bytes in and out. One thread reads while another writes; `shutdown` may be called by any."""

    def read(self, n_bytes: int) -> bytes:
        """Waits for bytes and returns those that came, up to so many; none where the other end has ended.

        Raises:
            BlockingIOError: None came within `TICK_SECONDS`.
            OSError: The connection is broken.
        """
        ...

    def read_into(self, view: memoryview) -> int:
        """As `read`, into `view`; waits until it is full, as long as something comes. Returns how many came."""
        ...

    def write(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """Writes all pieces, `n_bytes` together; waits while the other end takes nothing.

        Raises:
            OSError: The connection is broken, or shut down here.
        """
        ...

    def can_write(self, seconds: float = 0.0) -> bool:
        """Whether a small piece would be written at once, or will be within some seconds."""
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


def prepare(connected: socket.socket) -> None:
    """Sets the options of a connected socket: no delay, no wait for ever in reads."""
    connected.settimeout(None)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # A timeout of Python's socket would cost a system call before each read.
    whole_seconds = int(TICK_SECONDS)
    timeout = _TIMEVAL.pack(whole_seconds, int((TICK_SECONDS - whole_seconds) * 1e6))
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)


def limit_unacknowledged(connected: socket.socket, seconds: float) -> None:
    """Has the connection break once the other end has acknowledged nothing, or had no room for more, for so long.

    Only for streams whose other end always reads: one that is at work and takes nothing looks dead to the kernel.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


class _Connected:
    """What both transports do with their socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def _acknowledge_late(self) -> None:
        """What comes next need not be acknowledged by the very call that reads it, while its reader waits.

        A stream goes one way, so that no answer carries the acknowledgement, and the kernel sends one at once: 5 µs of
        a lone message of 1 kB, 25 of 150 kB. Wanted anew before each read: once one was late, it is sent at once again.
        """
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 0)

    def can_write(self, seconds: float = 0.0) -> bool:
        """See `Transport`."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLOUT)
        except ValueError:  # closed
            return False
        return any(event & select.POLLOUT for _, event in poll.poll(seconds * 1000))

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

    def read(self, n_bytes: int) -> bytes:
        """See `Transport`."""
        self._acknowledge_late()
        return self._socket.recv(n_bytes)

    def read_into(self, view: memoryview) -> int:
        """See `Transport`."""
        return self._socket.recv_into(view, 0, socket.MSG_WAITALL)

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
    """Under TLS. Both directions need the state of OpenSSL, whose lock is never held while one waits.

    The socket does not block, so that OpenSSL returns where it would have to wait, and that is done without the lock.
    (OpenSSL on memory serves both directions as well, but 800 kB took a third longer: two copies more, and a turn of
    Python's for each piece.) `shake_hands` is to be called before anything else.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, *, server_name: str | None) -> None:
        """One end of a connection; `server_name` is what the other end's certificate must name, None at the server.

        Raises:
            OSError: The connection is broken.
        """
        super().__init__(connected)
        # With a descriptor of its own: a socket of Python's that is shut down goes on in clear.
        secured = connected.dup()
        secured.setblocking(False)
        try:
            self._tls = context.wrap_socket(
                secured,
                server_side=server_name is None,
                server_hostname=server_name,
                do_handshake_on_connect=False,
            )
        except BaseException:
            secured.close()
            raise
        self._lock = threading.Lock()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._tls, select.POLLIN)
        self._writable.register(self._tls, select.POLLOUT)

    def shake_hands(self, deadline: float) -> None:
        """Comes to terms with the other end until a moment on `time.monotonic`.

        Raises:
            OSError: The connection is broken or slow; `ssl.SSLError` says what TLS has against the other end.
        """
        try:
            while not self._has_shaken_hands():
                if time.monotonic() >= deadline:
                    raise TimeoutError("the handshake takes too long")  # noqa: TRY301 - ends as all others
        except BaseException:
            self._tls.close()
            self._socket.setblocking(True)  # as it was: what still comes is let go by those who read in clear
            raise

    def _has_shaken_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._readable.poll(_TICK_MILLISECONDS)
        except ssl.SSLWantWriteError:
            self._writable.poll(_TICK_MILLISECONDS)
        else:
            return True
        return False

    def peer_certificate(self) -> bytes:
        """That of the other end as DER, which the handshake has verified."""
        return bytes(self._tls.getpeercert(binary_form=True) or b"")

    def read(self, n_bytes: int) -> bytes:
        """See `Transport`."""
        while True:
            with self._lock:
                try:
                    return self._tls.recv(n_bytes)
                except ssl.SSLWantReadError:
                    pass
            self._wait_for_more()

    def read_into(self, view: memoryview) -> int:
        """See `Transport`."""
        n_read = 0
        while True:
            with self._lock:
                try:
                    while n_read < len(view) and (n_more := self._tls.recv_into(view[n_read:])):
                        n_read += n_more
                except ssl.SSLWantReadError:
                    pass
                else:
                    return n_read
            try:
                self._wait_for_more()
            except BlockingIOError:
                if n_read:
                    return n_read
                raise

    def _wait_for_more(self) -> None:
        self._acknowledge_late()
        if not self._readable.poll(_TICK_MILLISECONDS):
            raise BlockingIOError

    def write(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """See `Transport`."""
        if n_bytes <= _RECORD_BYTES:
            return self._write_whole(b"".join(pieces))
        left: Buffer = b""
        for piece in pieces:
            view = byte_view(piece)
            if left or len(view) < _RECORD_BYTES:
                n_first = _RECORD_BYTES - len(left)
                left, view = b"".join((left, view[:n_first])), view[n_first:]
                if len(left) < _RECORD_BYTES:
                    continue
                self._write_whole(left)
            n_whole = len(view) // _RECORD_BYTES * _RECORD_BYTES
            for start in range(0, n_whole, _CHUNK_BYTES):
                self._write_whole(view[start : min(start + _CHUNK_BYTES, n_whole)])
            left = bytes(view[n_whole:])
        return self._write_whole(left) if left else None

    def _write_whole(self, chunk: Buffer) -> None:
        """OpenSSL keeps in mind how much of a chunk it has sent, and wants to be given the same one again."""
        while True:
            try:
                with self._lock:
                    self._tls.send(chunk)
            except ssl.SSLWantWriteError:
                self._writable.poll()
            else:
                return

    def close(self) -> None:
        """See `Transport`."""
        self._tls.close()
        super().close()
