"""States of evolutionary engines as files: arrays in .npz, the rest as one JSON header in it. Nothing is executed.

A checkpoint is written whole or not at all, and loads for the very search that wrote it only.
"""

import contextlib
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.errors import ArtefactError
from partitioner.front import is_dominated
from partitioner.search.encoding import decode_rows, evaluate
from partitioner.search.evolutionary.archive import Archive
from partitioner.search.evolutionary.breeding import are_rows
from partitioner.search.evolutionary.generations import Method, State, crowd_of, generator_of
from partitioner.search.problem import SearchProblem

SCHEMA = "splitfront/evolution/1"
COUNTS = ("n_generations", "n_evaluated", "n_idle")
DTYPES: Mapping[str, tuple[str, int]] = {
    "genes": ("if", 2),
    "standing": ("f", 1),
    "memory": ("f", 2),
    "archive": ("i", 2),
    "is_explored": ("b", 1),
}
"""Kind and number of dimensions of each array in a file; objectives are computed anew."""


def save_checkpoint(path: Path, problem: SearchProblem, method: Method, seed: int, state: State) -> None:
    """Writes a state as a whole file or not at all; a file of that name is replaced.

    Raises:
        ArtefactError: It cannot be written.
    """
    header = {
        **_identity(problem, method, seed),
        **{name: getattr(state, name) for name in COUNTS},
        "random_state": state.random_state,
    }
    arrays: dict[str, Any] = {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "genes": state.population.genes,
        "standing": state.standing,
        "memory": state.memory,
        "archive": state.archive.plans.rows(),
        "is_explored": state.archive.is_explored,
    }
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ArtefactError(f"{path}: the checkpoint cannot be written: {exc}. Choose another place for it.") from exc


def load_checkpoint(path: Path, problem: SearchProblem, method: Method, seed: int) -> State:
    """The state that `save_checkpoint` wrote for the same search.

    Raises:
        ArtefactError: The file cannot be read, is damaged, or belongs to another problem, engine, population or seed.
    """
    header, arrays = _read(path)
    _check_identity(path, header, _identity(problem, method, seed))
    faults = _faults(problem, method, header, arrays)
    if faults:
        raise _damaged(path, "; ".join(faults))
    plans = decode_rows(arrays["archive"].astype(np.int64))
    return State(
        population=crowd_of(problem, method, arrays["genes"]),
        standing=arrays["standing"],
        memory=arrays["memory"],
        archive=Archive(plans=plans, objectives=evaluate(problem, plans), is_explored=arrays["is_explored"]),
        random_state=header["random_state"],
        **{name: header[name] for name in COUNTS},
    )


def problem_sha256(problem: SearchProblem) -> str:
    """Digest of everything that decides what plans of a problem cost and which are allowed."""
    digest = hashlib.sha256()
    for name, value in problem.parts().items():
        digest.update(name.encode())
        if isinstance(value, np.ndarray):
            digest.update(repr((value.shape, value.dtype.str)).encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr(sorted(value.items()) if isinstance(value, Mapping) else value).encode())
    return digest.hexdigest()


def _identity(problem: SearchProblem, method: Method, seed: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "engine": method.engine,
        "population": method.population,
        "seed": seed,
        "problem_sha256": problem_sha256(problem),
    }


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise _damaged(path, "no checkpoint, or cut short")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes().decode())
    except OSError as exc:
        raise ArtefactError(f"{path}: the checkpoint cannot be read: {exc}.") from exc
    except ArtefactError:
        raise
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as exc:
        raise _damaged(path, f"no checkpoint, or cut short ({exc})") from exc
    if not isinstance(header, dict):
        raise _damaged(path, f"its header is {type(header).__name__}, wanted an object")
    return header, arrays


def _check_identity(path: Path, header: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    others = [
        f"{name} {header.get(name)!r}, wanted {value!r}" for name, value in wanted.items() if header.get(name) != value
    ]
    if others:
        raise ArtefactError(
            f"{path}: the checkpoint belongs to another search: {'; '.join(others)}. "
            f"Repeat that search, or name another file."
        )


def _faults(
    problem: SearchProblem, method: Method, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> list[str]:
    """What is wrong with a checkpoint's content; the deeper checks only where the shallow ones find nothing."""
    faults = [
        f"{name} is {header.get(name)!r}, wanted a count"
        for name in COUNTS
        if type(header.get(name)) is not int or header[name] < 0
    ]
    for name, (kinds, n_dimensions) in DTYPES.items():
        array = arrays.get(name)
        if array is None or array.dtype.kind not in kinds or array.ndim != n_dimensions:
            came = "missing" if array is None else f"{array.dtype} of shape {array.shape}"
            faults.append(f"array {name!r} is {came}")
    return faults or _deep_faults(problem, method, header, arrays)


def _deep_faults(
    problem: SearchProblem, method: Method, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> list[str]:
    genes, archive = arrays["genes"], arrays["archive"]
    faults = [] if method.breeding.are_genes(problem, genes) else ["the population holds no plans"]
    if len(arrays["standing"]) != len(genes) or not len(genes):
        faults.append(f"{len(genes)} plans of the population have {len(arrays['standing'])} standings")
    if len(arrays["is_explored"]) != len(archive) or not are_rows(problem, archive):
        faults.append("the archive holds no plans")
    elif not _is_front(problem, archive):
        faults.append("the archive holds forbidden or dominated plans")
    try:
        generator_of(header["random_state"])
    except (ValueError, TypeError, KeyError, OverflowError) as exc:
        faults.append(f"its random state is none ({exc})")
    return faults


def _is_front(problem: SearchProblem, rows: npt.NDArray[Any]) -> bool:
    objectives = evaluate(problem, decode_rows(rows.astype(np.int64)))
    return bool(np.isfinite(objectives).all() and not is_dominated(objectives).any())


def _damaged(path: Path, why: str) -> ArtefactError:
    return ArtefactError(f"{path}: the checkpoint is damaged: {why}. Delete it to begin anew.")
