"""What is wrong with a cluster's description, in words: where, what was wanted, what came."""

import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    path: KeyPath
    """Keys and list positions from the top of the file."""
    message: str


def fault_texts(faults: Iterable[Fault], lines: Mapping[KeyPath, int]) -> Iterator[str]:
    """`nodes[1].memory (line 7): …` of each fault, in the order of the file, each once."""
    placed = sorted({(_line(fault.path, lines), path_text(fault.path), fault.message) for fault in faults})
    for line, where, message in placed:
        yield f"{where} (line {line}): {message}" if line else f"{where}: {message}"


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """Line of `path`, or of the innermost thing around it that has one; 0 where none has."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 0)


def path_text(path: KeyPath) -> str:
    """`nodes[1].memory`; the whole file is `the file`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the file"


def nearest(word: str, known: Iterable[str]) -> str:
    """A question after the known word that looks most like `word`, and the list of all."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(words)}"


def shape_faults(exc: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """What pydantic found in data for `model`. Texts are not repeated: they may be secrets."""
    for error in exc.errors(include_url=False):
        if error["type"] == "too_short" and error["input"]:
            continue  # its entries are at fault, and have been named
        yield Fault(path=error["loc"], message=_message(error, model))


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "the path of a file",
    "tuple_type": "a list",
    "model_type": "a mapping (key: value)",
}


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"is not known here: {nearest(str(error['loc'][-1]), _keys_at(error['loc'][:-1], model))}"
    if kind == "too_short":
        return "is an empty list: wanted at least one entry"
    if kind in _WANTED:
        return f"wanted {_WANTED[kind]}, got {_kind(error['input'])}"
    came = f", got {error['input']}" if isinstance(error["input"], int | float) else ""
    return f"{error['msg'][0].lower()}{error['msg'][1:]}{came}"


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _keys_at(path: KeyPath, model: type[BaseModel]) -> tuple[str, ...]:
    """Keys that may stand at `path`."""
    for part in path:
        if isinstance(part, str):
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            model = next(models_in(fields[part].annotation))
    return tuple(field.alias or name for name, field in model.model_fields.items())


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Sections that may stand where a field is annotated so."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)
