"""Packages for a node, gathered on this machine for another architecture and Python: the door to pip."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from deploy.errors import WheelsError
from deploy.own_wheel import own_wheel
from deploy.planning.suitability import Platform
from deploy.planning.wanted import Wheel, sha256_of

_PIP_SECONDS = 900
CPU_EXTRAS = ("node", "compression")
GPU_EXTRAS = ("node-gpu", "gpu", "compression")
_MANIFEST = "wheels.json"

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
"""Of each folder: nodes of one kind are installed in parallel and want the same."""


def pip_words(platform: Platform, requirements: Sequence[str], folder: Path, constraints: Path) -> tuple[str, ...]:
    """The command that downloads what a node needs; only wheels, so that nothing is compiled anywhere."""
    version = f"{platform.python[0]}.{platform.python[1]}"
    words = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    words += ["--implementation", "cp", "--python-version", version, "--abi", f"cp{version.replace('.', '')}"]
    words += ["--abi", "abi3", "--abi", "none"]
    words += [word for tag in platform.tags for word in ("--platform", tag)]
    words += ["--dest", str(folder), "--constraint", str(constraints), *requirements]
    return tuple(words)


def gather_wheels(
    platform: Platform, cache: Path, *, has_gpu: bool, own: Path | None = None, is_fresh: bool = False
) -> tuple[Wheel, ...]:
    """The packages of a node, this program's among them.

    What was gathered before is used again, so that the same call gives the same files without any network.

    Args:
        platform: What they must be built for.
        cache: Where they are kept.
        has_gpu: Whether the runtime for CUDA is wanted.
        own: This program's wheel; None: it is made.
        is_fresh: Whether newer versions are looked for.

    Raises:
        WheelsError: They cannot be had.
    """
    own = own or own_wheel(cache / "own")
    try:
        digest = sha256_of(own.read_bytes())
    except OSError as exc:
        raise WheelsError(f"The wheel {own} cannot be read: {exc.strerror}.") from exc
    extras = GPU_EXTRAS if has_gpu else CPU_EXTRAS
    folder = cache / f"{platform}{'-gpu' if has_gpu else ''}"
    with _locks[folder]:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = folder / _MANIFEST
        names = None if is_fresh else _known(manifest, digest)
        if names is None or not all((folder / name).is_file() for name in names):
            names = _download(platform, folder, own, extras)
            manifest.write_text(json.dumps({"own": digest, "names": names}, indent=2), encoding="utf-8")
        return tuple(_wheel(folder / name) for name in names)


def _known(manifest: Path, digest: str) -> list[str] | None:
    """Names of what was gathered for this very program; None where that is unknown."""
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return list(known["names"]) if known.get("own") == digest else None


def _download(platform: Platform, folder: Path, own: Path, extras: Sequence[str]) -> list[str]:
    """Downloads beside what was gathered before, takes its place, and says which files belong together."""
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    constraints = folder / "constraints.txt"
    constraints.write_text(constraints_text(_installed_versions()), encoding="utf-8")
    requirements = [f"splitfront[{','.join(extras)}] @ {own.resolve().as_uri()}"]
    words = [sys.executable, *pip_words(platform, requirements, fresh, constraints)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_PIP_SECONDS)  # noqa: S603 - ours
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise WheelsError(f"pip cannot gather the packages for {platform}: {exc}.") from exc
    if done.returncode != 0:
        raise WheelsError(f"pip cannot gather the packages for {platform}: {reason_of(done.stderr)}")
    for old in folder.glob("*.whl"):
        old.unlink()
    names = sorted(path.name for path in fresh.glob("*.whl"))
    for name in names:
        (fresh / name).replace(folder / name)
    fresh.rmdir()
    return names


def reason_of(stderr: str) -> str:
    """The last error of pip; where that is a fault of its own, the last line of what it was doing."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()] or ["it said nothing."]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return errors[-1] if errors and errors[-1] != "Exception:" else lines[-1]


def _installed_versions() -> Mapping[str, str]:
    """What runs here, by name: a node gets the same versions, so that it computes and speaks as was tested here."""
    versions = {}
    for requirement in metadata.requires("splitfront") or ():
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def constraints_text(versions: Mapping[str, str]) -> str:
    """Constraints for pip. Local versions (`+cpu`) name a build that others may not have."""
    return "".join(
        f"{name}=={version}\n"
        for name, version in sorted(versions.items())
        if "+" not in version and name != "splitfront"
    )


def _wheel(path: Path) -> Wheel:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Wheel(path=path, sha256=digest, n_bytes=path.stat().st_size)
