"""This program as a wheel, so that nodes run what the coordinator runs."""

import base64
import hashlib
import subprocess
import sys
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


def own_wheel(folder: Path) -> Path:
    """The wheel: built where this is a source tree, else put together again from what is installed.

    Raises:
        WheelsError: Neither can be done.
    """
    with _building:
        folder.mkdir(parents=True, exist_ok=True)
        root = Path(__file__).resolve().parents[1]
        return _built(root, folder) if (root / "pyproject.toml").is_file() else _packed(folder)


def _built(root: Path, folder: Path) -> Path:
    for old in folder.glob("*.whl"):
        old.unlink()
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(  # noqa: S603 - ours
        [*words, "--wheel-dir", str(folder), str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILD_SECONDS,
    )
    found = [*folder.glob(f"{_NAME}-*.whl")]
    if done.returncode != 0 or not found:
        why = done.stderr.strip().splitlines()
        raise WheelsError(f"Cannot build the wheel of {root}: {why[-1] if why else 'pip said nothing'}.")
    return found[0]


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
