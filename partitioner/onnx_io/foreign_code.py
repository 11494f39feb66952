"""Errors of code that is not ours: of a user's module, and what it calls."""

import importlib
import traceback
from pathlib import Path

_MOST_SIGNS = 300


def failure_words(exc: BaseException) -> str:
    """Type, text and place of an error, in one line: `ValueError: no such layer (nets/small.py:12)`.

    To be called where the error was caught: the frame there is left out.
    """
    said = exc.msg if isinstance(exc, SyntaxError) else str(exc)
    text = " ".join(said.split())[:_MOST_SIGNS]
    place = _place_of(exc)
    return f"{type(exc).__name__}{f': {text}' if text else ''}{f' ({place})' if place else ''}"


def _place_of(exc: BaseException) -> str:
    """Where the user's own code went wrong: the innermost line in the folder of its outermost file, or below."""
    if isinstance(exc, SyntaxError):
        return f"{exc.filename}:{exc.lineno}"
    frames = traceback.extract_tb(exc.__traceback__)[1:]
    found = [frame for frame in frames if frame.filename[0] != "<" and frame.filename != importlib.__file__]
    if not found:
        return ""
    folder = Path(found[0].filename).parent
    frame = [frame for frame in found if Path(frame.filename).is_relative_to(folder)][-1]
    return f"{frame.filename}:{frame.lineno}"
