"""This program as a wheel, so that nodes run what the coordinator runs."""

import base64
import hashlib
import subprocess
import sys
import tempfile
import threading
import zipfile
from importlib import metadata
from pathlib import Path

from deploy.errors import WheelsError

_NAME = "splitfront"
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_BUILD_SECONDS = 300
_EPOCH = (1980, 2, 1, 0, 0, 0)
"""Time of all files in the wheel: the same files give the same bytes."""

_building = threading.Lock()
_made: dict[Path, Path] = {}
"""The wheel in each folder, made once by a process: nodes that are installed in parallel read it at the same time."""


def own_wheel(folder: Path) -> Path:
    """The wheel: built where this is a source tree, else put together again from what is installed.

    Raises:
        WheelsError: Neither can be done.
    """
    with _building:
        if folder not in _made or not _made[folder].is_file():
            folder.mkdir(parents=True, exist_ok=True)
            root = Path(__file__).resolve().parents[1]
            _made[folder] = _built(root, folder) if (root / "pyproject.toml").is_file() else _packed(folder)
        return _made[folder]


def _built(root: Path, folder: Path) -> Path:
    """Built beside the one before, whose place it takes in one go: another process may be reading that."""
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        done = subprocess.run(  # noqa: S603 - ours
            [*words, "--wheel-dir", fresh, str(root)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_BUILD_SECONDS,
        )
        found = [*Path(fresh).glob(f"{_NAME}-*.whl")]
        if done.returncode != 0 or not found:
            why = done.stderr.strip().splitlines()
            raise WheelsError(f"Cannot build the wheel of {root}: {why[-1] if why else 'pip said nothing'}.")
        target = found[0].replace(folder / found[0].name)
    for old in {*folder.glob("*.whl")} - {target}:
        old.unlink()
    return target


def _packed(folder: Path) -> Path:
    """A wheel from the files that an installation lists."""
    installed = metadata.distribution(_NAME)
    files = [
        file
        for file in installed.files or ()
        if file.name not in _LEFT_OUT and ".." not in file.parts and "__pycache__" not in file.parts
    ]
    if not any(file.parts[0] == "node_agent" for file in files):
        raise WheelsError("The installed splitfront does not list its files: give its wheel with --wheel.")
    target = folder / f"{_NAME}-{installed.version}-py3-none-any.whl"
    partial = target.with_suffix(".part")
    record = []
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files, key=str):
            content = Path(str(installed.locate_file(file))).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={digest},{len(content)}")
            archive.writestr(zipfile.ZipInfo(str(file), _EPOCH), content, zipfile.ZIP_DEFLATED)
        path = f"{_NAME}-{installed.version}.dist-info/RECORD"
        archive.writestr(zipfile.ZipInfo(path, _EPOCH), "\n".join([*record, f"{path},,", ""]))
    return partial.replace(target)
