"""What the header of a frame may hold, so that no sender decides how much memory its reader spends.

A payload costs what came. A header does not: each of its entries becomes an object, some fifty times larger than the
two bytes that announce it. What a stage passes on never exceeds what it took in, so that garbage ends where it came in
and not the stream between two nodes.
"""

from node_agent.errors import FrameError
from node_agent.wire import agent_pb2

MAX_HEADER_BYTES = 128 << 10
MAX_TENSORS = 1024
MAX_STEPS = 1024
"""Of an emulated link that changes."""
MAX_ERROR_CHARACTERS = 2000
"""Of the message in an error frame; longer ones are cut."""
_SHOWN_CHARACTERS = 80


def check_length(n_bytes: int) -> None:
    """Refuses a header before it is read, or written.

    Raises:
        FrameError: It is too long.
    """
    if n_bytes > MAX_HEADER_BYTES:
        raise FrameError(
            f"A frame has a header of {n_bytes} bytes: at most {MAX_HEADER_BYTES}, so send fewer tensors at once."
        )


def check_counts(header: agent_pb2.FrameHeader) -> None:
    """Refuses a header with more entries than a frame can have.

    Raises:
        FrameError: It has; the message says of what.
    """
    if len(header.tensors) > MAX_TENSORS:
        raise FrameError(f"A frame brings {len(header.tensors)} tensors: at most {MAX_TENSORS}.")
    if len(header.link_back.steps) > MAX_STEPS:
        raise FrameError(f"A frame asks for a link of {len(header.link_back.steps)} steps: at most {MAX_STEPS}.")
    if len(header.trace) > header.stage:
        raise FrameError(
            f"A frame for stage {header.stage} tells of {len(header.trace)} stages behind it: at most {header.stage}."
        )


def shortened(text: str, n_characters: int = _SHOWN_CHARACTERS) -> str:
    """What another machine said, cut so that it fits a message or a line of the log."""
    return text if len(text) <= n_characters else text[: n_characters - 1] + "…"
