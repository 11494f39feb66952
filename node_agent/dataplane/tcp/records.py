"""What travels on a connection of the plane `tcp`.

The end that dials begins with a preamble of eight bytes: the magic, the version, what it wants (Push or Results) and
two zeroes. From then on both ends send records: one byte says what it is, four say how long its content is, least byte
first. A Push carries frames from the dialing end and answers to probes back; on Results the dialing end sends one
message, its subscription. The other end accepts, or says why not in an error. Frames have the same bytes as over gRPC.
"""

import struct
from enum import IntEnum

from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.frame import decode, encode
from node_agent.errors import FrameError, NodeError, ProtocolMismatchError
from node_agent.messages import ErrorFrame
from node_agent.wire_errors import error_named

MAGIC = b"sfdp"
VERSION = 1
PREAMBLE_BYTES = 8
RECORD = struct.Struct("<BI")
"""Before each content: what it is, and its length."""

MAX_CONTENT_BYTES = (1 << 31) - 1
MAX_ERROR_BYTES = 1 << 16


class Wanted(IntEnum):
    """What a connection is for."""

    PUSH = 1
    RESULTS = 2


class Record(IntEnum):
    """What a record is."""

    HEARTBEAT = 0
    """The process at the other end is at work."""
    MESSAGE = 1
    """A frame."""
    ACCEPTED = 2
    """The stream is taken."""
    END = 3
    """The stream ends as it should: no record follows."""
    ERROR = 4
    """The stream ends, and this is why: an error frame that names no deployment."""


NAMED = {
    Record.HEARTBEAT: RECORD.pack(Record.HEARTBEAT, 0),
    Record.ACCEPTED: RECORD.pack(Record.ACCEPTED, 0),
    Record.END: RECORD.pack(Record.END, 0),
}
"""Records without content."""


def preamble(wanted: Wanted) -> bytes:
    """The first bytes of the end that dials."""
    return MAGIC + bytes((VERSION, wanted, 0, 0))


def read_preamble(received: bytes | memoryview) -> Wanted:
    """What the other end wants.

    Raises:
        FrameError: It speaks something else.
        ProtocolMismatchError: It speaks another version.
    """
    start = bytes(received)
    if start[:4] != MAGIC:
        raise FrameError(f"Bytes came that are no preamble of the data plane tcp: {start!r}.")
    if start[4] != VERSION:
        raise ProtocolMismatchError(
            f"The other end speaks version {start[4]} of the data plane tcp, this one {VERSION}: "
            "install the same splitfront on both."
        )
    try:
        return Wanted(start[5])
    except ValueError as exc:
        raise FrameError(f"A stream of kind {start[5]} is wanted: there are only Push (1) and Results (2).") from exc


def error_record(error: NodeError) -> bytes:
    """The last record of a stream that does not end as it should."""
    message = str(error).encode()[: MAX_ERROR_BYTES // 2].decode(errors="ignore")
    frame = ErrorFrame(deployment="", epoch=0, request=0, stage=0, error=type(error).__name__, message=message)
    content = encode(frame).joined()
    return RECORD.pack(Record.ERROR, len(content)) + content


def read_error(content: Buffer) -> NodeError:
    """The error that the other end tells.

    Raises:
        FrameError: The content is none.
    """
    frame = decode(content)
    if not isinstance(frame, ErrorFrame):
        raise FrameError("A stream ended with an error that cannot be read.")
    return error_named(frame.error, frame.message)
