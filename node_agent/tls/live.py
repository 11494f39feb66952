"""The TLS files of a running node: read again when they are replaced, so that a renewal needs no restart."""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from node_agent.config import TlsFiles
from node_agent.errors import AgentConfigError, PeerRefusedError
from node_agent.tls.certificate import read_certificate
from node_agent.tls.identity import Role, check_peer
from node_agent.tls.material import Material, load_material
from node_agent.tls.open_streams import OpenStream, OpenStreams

_logger = logging.getLogger(__name__)

Marks = tuple[tuple[int, ...] | None, ...]


class LiveTls:
    """What the TLS files of a node hold now. Thread-safe.

    Files are replaced one after another, by whatever tool. Until they go together again, what was read before counts;
    so it does where a list of revoked certificates is older than the one that is known.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Reads the files.

        Raises:
            AgentConfigError: They cannot be used.
        """
        self._files = files
        self._lock = threading.Lock()
        self._marks = _marks(files)
        self._material = load_material(files)
        if self._material.identity.role is not Role.NODE:
            raise AgentConfigError(
                f"The certificate {files.certificate} is that of the {self._material.identity}: an agent needs one of "
                "the role node."
            )
        self._streams = OpenStreams(lambda: self.material)

    @property
    def material(self) -> Material:
        """What the files hold; the same object as long as nothing has changed that can be used."""
        marks = _marks(self._files)
        with self._lock:
            if marks != self._marks:
                self._read_again(marks)
            return self._material

    def _read_again(self, marks: Marks) -> None:
        try:
            fresh = load_material(self._files, is_running=True, known=self._material.revoked)
        except AgentConfigError as exc:
            _logger.warning("TLS files were replaced, but are not used", extra={"reason": str(exc)})
            self._marks = marks
            return
        if marks != _marks(self._files):
            return  # replaced while they were read: the next look reads them again
        self._marks, self._material = marks, fresh
        _logger.info("TLS files were replaced", extra={"serial": f"{fresh.own.serial:X}"})
        if fresh.warning:
            _logger.warning("other ends will refuse this one", extra={"reason": fresh.warning})

    def check(self, der: bytes, allowed: frozenset[Role], wanted: str) -> None:
        """Looks whether the other end may do what it wants; see `identity.check_peer`.

        Args:
            der: Its certificate, which the handshake has verified.
            allowed: Roles that may.
            wanted: What it wants, in a word.

        Raises:
            PeerRefusedError: It may not.
        """
        material = self.material
        try:
            certificate = read_certificate(der)
        except ValueError as exc:
            raise PeerRefusedError(f"{wanted} is refused without a certificate that can be read: {exc}.") from exc
        check_peer(
            certificate,
            cluster=material.identity.cluster,
            allowed=allowed,
            wanted=wanted,
            revoked=material.revoked,
        )

    def admitted(
        self, der: bytes, allowed: frozenset[Role], wanted: str, end: Callable[[PeerRefusedError], None]
    ) -> AbstractContextManager[None]:
        """Lets a stream in as `check` does, and has it ended within a second once its certificate is revoked.

        Args:
            der: As in `check`.
            allowed: As in `check`.
            wanted: As in `check`.
            end: Ends the stream and tells the other end why; see `OpenStream.end`.
        """
        return self._streams.holding(OpenStream(check=partial(self.check, der, allowed, wanted), end=end))


def _marks(files: TlsFiles) -> Marks:
    """Changes whenever one of the files is replaced or written."""
    return tuple(map(_mark, (files.authority, files.key, files.certificate, files.revoked)))


def _mark(path: os.PathLike[str] | None) -> tuple[int, ...] | None:
    try:
        found = os.stat(path) if path is not None else None  # noqa: PTH116 - None is one of them
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
