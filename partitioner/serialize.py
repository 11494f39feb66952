"""Artefacts: values as JSON files. The only module of `partitioner` that imports pydantic.

A file holds the fields of the value at its top level, beside an envelope: `schema` (`splitfront/plan/1`),
`model_sha256`, `versions`, `seed` and `created`. Numbers survive to the last bit; those that JSON lacks are written as
the strings `Infinity`, `-Infinity` and `NaN`.
"""

import contextlib
import dataclasses
import json
import math
import os
import platform
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from partitioner.cluster import Cluster
from partitioner.codec import CodecTable
from partitioner.errors import ArtefactError
from partitioner.graph import Graph
from partitioner.plan import Plan
from partitioner.profile import Profile
from partitioner.search.result import SearchResult
from partitioner.search.robust.result import RobustResult

SCHEMA_PREFIX = "splitfront"
SCHEMA_VERSION = 1
SCHEMAS: dict[type, str] = {
    Graph: "graph",
    Profile: "profile",
    SearchResult: "front",
    RobustResult: "robust",
    Plan: "plan",
    Cluster: "cluster",
    CodecTable: "codecs",
}
"""Names of the schemas of this package's types; other types name theirs in the call."""
VERSIONED_PACKAGES = ("splitfront", "numpy", "onnx", "onnxruntime", "torch", "grpcio", "pymoo")
MOST_FAULTS = 8
"""Faulty fields that an error names; of the others it gives the number."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a file says beside its value."""

    schema: str
    model_sha256: str | None
    """None where the value belongs to no model, as a cluster."""
    versions: dict[str, str]
    """Of Python and of the installed packages that shape results."""
    seed: int
    created: datetime


def save_artefact(
    path: Path,
    value: object,
    *,
    seed: int,
    schema: str | None = None,
    model_sha256: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Writes a value as a whole file or not at all; a file of that name is replaced.

    Args:
        path: Where to; missing folders are made.
        value: A dataclass.
        seed: From which the value came.
        schema: Name of its schema; from `SCHEMAS` where None.
        model_sha256: Of the model it belongs to; the value's own where it has one.
        now: Tells the time of creation.

    Raises:
        ArtefactError: The value has no schema, a field bears a name of the envelope with another content, or the file
            cannot be written.
    """
    try:
        _write(path, artefact_json(value, seed=seed, schema=schema, model_sha256=model_sha256, now=now) + "\n")
    except ArtefactError as exc:
        raise ArtefactError(f"{path}: {exc}") from exc


def artefact_json(
    value: object,
    *,
    seed: int,
    schema: str | None = None,
    model_sha256: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """Text of the file that `save_artefact` would write.

    Raises:
        ArtefactError: The value has no schema, or a field bears a name of the envelope with another content.
    """
    fields: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    envelope = {
        "schema": _schema_text(type(value), schema),
        "model_sha256": model_sha256 or _model_of(value),
        "versions": versions(),
        "seed": seed,
        "created": now().isoformat(timespec="seconds"),
    }
    clashes = [name for name, content in envelope.items() if name in fields and fields[name] != content]
    if clashes:
        raise ArtefactError(f"the value's own {', '.join(clashes)} differ from those of its envelope.")
    return json.dumps(_encode_numbers(envelope | fields), indent=1, ensure_ascii=False, allow_nan=False)


def load_artefact(path: Path, kind: type[Value], *, schema: str | None = None) -> Value:
    """The value in a file.

    Args:
        path: A file that `save_artefact` wrote.
        kind: The dataclass that is wanted.
        schema: Name of its schema; from `SCHEMAS` where None.

    Raises:
        ArtefactError: The file is missing, no JSON, truncated, of another or a newer schema, or has faulty fields.
    """
    content = _read(path)
    _check_schema(path, content, _schema_text(kind, schema))
    _validated(path, Envelope, content)
    return _validated(path, kind, content)


def load_envelope(path: Path) -> Envelope:
    """What a file says beside its value, whatever its schema.

    Raises:
        ArtefactError: As `load_artefact`.
    """
    return _validated(path, Envelope, _read(path))


def _schema_text(kind: type, schema: str | None) -> str:
    name = schema or SCHEMAS.get(kind)
    if name is None or not dataclasses.is_dataclass(kind):
        raise ArtefactError(f"{kind.__name__} has no schema: name one, with a dataclass.")
    return f"{SCHEMA_PREFIX}/{name}/{SCHEMA_VERSION}"


def _model_of(value: object) -> str | None:
    """Digest of the model that a value, its plan or the first plan of its front belongs to."""
    candidates = getattr(value, "front", ())
    for owner in (value, getattr(value, "plan", None), *(getattr(candidate, "plan", None) for candidate in candidates)):
        digest = getattr(owner, "model_sha256", None)
        if isinstance(digest, str):
            return digest
    return None


def versions() -> dict[str, str]:
    """Of Python and of the installed packages that shape results."""
    found = {"python": platform.python_version()}
    for name in VERSIONED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _encode_numbers(content: Any) -> Any:
    """The same tree with the numbers that JSON lacks as strings, which pydantic reads back as numbers."""
    if isinstance(content, float) and not math.isfinite(content):
        return "NaN" if math.isnan(content) else "Infinity" if content > 0 else "-Infinity"
    if isinstance(content, Mapping):
        return {key: _encode_numbers(child) for key, child in content.items()}
    if isinstance(content, list):
        return [_encode_numbers(child) for child in content]
    return content


def _write(path: Path, text: str) -> None:
    """Temporary file beside it, flushed to disk, then renamed over it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, UnicodeEncodeError) as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ArtefactError(f"cannot be written: {exc}.") from exc


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as exc:
        raise ArtefactError(f"{path}: no such file; run the step that writes it first.") from exc
    except OSError as exc:
        raise ArtefactError(f"{path}: cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise ArtefactError(f"{path}: no JSON, or cut short: {exc}. Write it anew.") from exc
    if not isinstance(content, dict):
        raise ArtefactError(f"{path}: wanted a JSON object, got {type(content).__name__}.")
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _check_schema(path: Path, content: Mapping[str, Any], wanted: str) -> None:
    came = content.get("schema")
    prefix, _, name_and_version = wanted.partition("/")
    name = name_and_version.partition("/")[0]
    if came == wanted:
        return
    head, _, version = came.rpartition("/") if isinstance(came, str) else ("", "", "")
    if head == f"{prefix}/{name}" and version.isdecimal() and int(version) > SCHEMA_VERSION:
        raise ArtefactError(
            f"{path}: has schema {came!r}, this splitfront reads up to {wanted!r}: install a newer one."
        )
    raise ArtefactError(f"{path}: wanted schema {wanted!r}, got {came!r}: this is another kind of file.")


def _validated(path: Path, kind: type[Value], content: Mapping[str, Any]) -> Value:
    try:
        return TypeAdapter(kind).validate_python(dict(content))
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_context=False)
    named = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:MOST_FAULTS]]
    rest = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    raise ArtefactError(f"{path}: {len(faults)} faulty fields: {'; '.join(named)}{rest}.")
