"""From the folder of a run or a sweep to what its bundle holds."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coordinator.bundle.archive import MANIFEST, Kind, Manifest, pack
from coordinator.config.sweep_document import sweep_document, trace_csv
from coordinator.errors import BundleError
from coordinator.results.csv_files import csv_writer
from coordinator.results.exchange import measured, write
from coordinator.results.opening import STORE_FILE
from coordinator.results.store import open_store
from coordinator.results.values import Sweep
from coordinator.run_folder import ARTEFACTS

RESULTS = "results"
"""Folder of a sweep's results in a bundle, as CSV: a database's file would never be the same twice."""
PACKED = frozenset({".json", ".jsonl", ".yaml", ".yml"})
"""Endings of files that are packed. Pictures and pages are drawn again; models and shards are not results."""
_SETTINGS = ARTEFACTS["run"].file


def bundle_folder(folder: Path, path: Path, *, store: str | None = None, sweeps: tuple[str, ...] = ()) -> Manifest:
    """Packs a folder.

    Args:
        folder: Of a run or a sweep.
        path: The bundle to write; one that is there is replaced.
        store: URL or path of the sweep's results; those in the folder where None.
        sweeps: Names of those to pack; all where empty.

    Raises:
        BundleError: The folder is neither of the two, or a file cannot be read.
        ResultStoreError: The results cannot be read, or the bundle not written.
        SweepUnknownError: The store lacks a sweep.
    """
    kind = _kind(folder, store)
    files = {name: _read(folder / name) for name in _names(folder)}
    found: tuple[Sweep, ...] = ()
    if kind == "sweep":
        found, exported = _results(store or str(folder), sweeps)
        files |= {f"{RESULTS}/{name}": content for name, content in exported.items()}
        for number, sweep in enumerate(found, 1):
            files |= _asked(f"sweep-{number}", sweep)
    return pack(path, _described(kind, files, found), files)


def _kind(folder: Path, store: str | None) -> Kind:
    if store is not None or (folder / STORE_FILE).is_file():
        return "sweep"
    if (folder / _SETTINGS).is_file():
        return "run"
    raise BundleError(
        f"{folder} holds neither {_SETTINGS} nor {STORE_FILE}: name the folder of a run or a sweep, or give --store."
    )


def _names(folder: Path) -> Iterator[str]:
    """Files to pack, by their paths in the folder; nothing hidden, and nothing that a link leads to."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        above = [folder / parent for parent in inner.parents]
        is_ours = not any(part.startswith(".") for part in inner.parts) and not any(map(Path.is_symlink, above[:-1]))
        is_packed = path.suffix in PACKED and inner.as_posix() != MANIFEST  # that of the bundle it came from
        if is_ours and is_packed and path.is_file() and not path.is_symlink():
            yield inner.as_posix()


def _results(store: str, names: tuple[str, ...]) -> tuple[tuple[Sweep, ...], dict[str, bytes]]:
    with open_store(store, is_made=False) as opened, tempfile.TemporaryDirectory() as temporary:
        with csv_writer(Path(temporary)) as writer:
            write(measured(opened, names), writer)
        sweeps = tuple(map(opened.sweep, names or opened.sweeps()))
        return sweeps, {path.name: path.read_bytes() for path in Path(temporary).iterdir()}


def _asked(name: str, sweep: Sweep) -> dict[str, bytes]:
    """The sweep's file, as JSON, which is YAML, and the traces that it names: `splitfront sweep` takes it again."""
    traces = sweep.spec.get("traces")
    steps = traces if isinstance(traces, dict) else {}
    paths = {condition: f"{name}-{condition}.csv" for condition in steps}
    document = json.dumps(sweep_document(sweep.spec, paths), indent=1, sort_keys=True)
    return {f"{name}.yaml": f"{document}\n".encode()} | {
        paths[condition]: trace_csv(rows).encode() for condition, rows in steps.items()
    }


def _described(kind: Kind, files: Mapping[str, bytes], sweeps: tuple[Sweep, ...]) -> Manifest:
    """What the artefacts say of how they came about."""
    commands, seeds, versions = [], [sweep.seed for sweep in sweeps], [dict(sweep.versions) for sweep in sweeps]
    for name, content in files.items():
        artefact = _artefact(content) if name.endswith(".json") else {}
        if name.rpartition("/")[2] == _SETTINGS and artefact.get("command"):
            commands.append(tuple(map(str, artefact["command"])))
        if isinstance(artefact.get("seed"), int):
            seeds.append(artefact["seed"])
        if isinstance(artefact.get("versions"), dict):
            versions.append(artefact["versions"])
    commands += [("splitfront", "sweep", f"sweep-{n}.yaml", "--out", "DIR") for n in range(1, len(sweeps) + 1)]
    return Manifest(
        kind=kind,
        commands=tuple(dict.fromkeys(commands)),
        seeds=tuple(dict.fromkeys(seeds)),
        versions=tuple({json.dumps(one, sort_keys=True): one for one in versions}.values()),
    )


def _artefact(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
