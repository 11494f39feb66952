"""Releases: a virtual environment each, made from wheels that were sent, and a link to the one that runs."""

import json
from dataclasses import replace
from shlex import quote

from deploy.facts.installed import Installed
from deploy.layout import Layout
from deploy.planning.wanted import Wanted
from deploy.steps import Step, Upload

_SEND_SECONDS = 1800.0
_BUILD_SECONDS = 1200.0


def release_steps(installed: Installed, wanted: Wanted, layout: Layout) -> list[Step]:
    """Sends what is missing and builds the release; nothing where it is whole."""
    if wanted.release in installed.releases:
        return []
    missing = [wheel for wheel in wanted.wheels if installed.wheels.get(wheel.name) != wheel.sha256]
    n_bytes = sum(wheel.n_bytes for wheel in missing)
    sent = {wheel.name: wheel.sha256 for wheel in missing}
    send = Step(
        name="send",
        description=f"Send {len(missing)} of {len(wanted.wheels)} packages, {n_bytes / 1e6:.1f} MB",
        uploads=tuple(Upload(source=wheel.path, target=f"{layout.wheels}/{wheel.name}") for wheel in missing),
        undo=f"rm -f {' '.join(quote(f'{layout.wheels}/{wheel.name}') for wheel in missing)}",
        timeout_seconds=_SEND_SECONDS,
        after=lambda state: replace(state, wheels={**state.wheels, **sent}),
    )
    return [*([send] if missing else []), _build_step(wanted, layout)]


_UNPACK = """
import pathlib, shutil, sys, sysconfig, zipfile
site = pathlib.Path(sysconfig.get_path("purelib"))
for wheel in sys.argv[1:]:
    zipfile.ZipFile(wheel).extractall(site)
for part in [*site.glob("*.data/purelib"), *site.glob("*.data/platlib")]:
    shutil.copytree(part, site, dirs_exist_ok=True)
for rest in site.glob("*.data"):
    shutil.rmtree(rest)
"""
"""Puts wheels where Python finds them. pip chose them and digests were checked: nothing is left to decide."""


def _build_step(wanted: Wanted, layout: Layout) -> Step:
    """Makes the environment without pip, which a machine may lack, and without any network.

    It is built where it will stay, because an environment knows its place, and is whole once `.complete` is there.
    """
    release = quote(layout.release(wanted.release))
    packages = " ".join(quote(wheel.name) for wheel in wanted.wheels)
    digests = "".join(f"{wheel.sha256}  {wheel.name}\n" for wheel in wanted.wheels)
    return Step(
        name="build",
        description=f"Build the environment {wanted.release}",
        command=f"""
cd {quote(layout.wheels)}
sha256sum -c - >/dev/null || {{ echo 'a package is not what was sent: run it again' >&2; exit 1; }}
rm -rf {release}
umask 022
{quote(wanted.python.path)} -I -m venv --without-pip {release}
{release}/bin/python -IBc {quote(_UNPACK)} {packages}
{release}/bin/python -I -m compileall -q -j 0 {release}/lib >/dev/null || true
{release}/bin/python -IB -m node_agent --version >&2
sync
touch {release}/.complete""",
        check=f"test -e {release}/.complete",
        undo=f"rm -rf {release}",
        stdin=digests.encode(),
        as_root=layout.is_system,
        timeout_seconds=_BUILD_SECONDS,
        after=lambda state: replace(
            state,
            releases=state.releases | {wanted.release},
            partial_releases=state.partial_releases - {wanted.release},
        ),
    )


def switch_command(release: str, layout: Layout) -> str:
    """Lets `current` lead to a release, in one go: a link is replaced, never absent."""
    words = json.dumps([f"releases/{release}", f"{layout.current}.part", layout.current])
    program = f"import os; new, part, link = {words}; os.path.lexists(part) and os.remove(part); "
    return f"{quote(layout.python)} -ESsc {quote(program + 'os.symlink(new, part); os.replace(part, link)')}"


def switch_step(release: str, layout: Layout) -> Step:
    """Makes a release the one that starts next. The guard before it takes that back."""
    return Step(
        name="switch",
        description=f"Switch to {release}",
        command=switch_command(release, layout),
        check=f'test "$(readlink {quote(layout.current)})" = {quote(f"releases/{release}")}',
        undo=f"rm -f {quote(layout.current)}",
        as_root=layout.is_system,
        after=lambda state: replace(state, current=release),
    )


def prune_steps(installed: Installed, wanted: Wanted, layout: Layout) -> list[Step]:
    """Takes away releases but the new one and the one before it, and wheels that none of them needs."""
    kept = {wanted.release, installed.confirmed_release}
    if installed.confirmed_release == wanted.release:
        kept |= set(sorted(installed.releases - kept)[-1:])
    releases = (installed.releases - kept) | (installed.partial_releases - {wanted.release})
    wheels = set(installed.wheels) - {wheel.name for wheel in wanted.wheels}
    if not releases and not wheels:
        return []
    paths = [*(layout.release(name) for name in sorted(releases))]
    paths += [f"{layout.wheels}/{name}" for name in sorted(wheels)]
    return [
        Step(
            name="prune",
            description=f"Take away {len(releases)} old releases and {len(wheels)} old packages",
            command=f"rm -rf {' '.join(map(quote, paths))}",
            as_root=layout.is_system,
            after=lambda state: replace(
                state,
                releases=state.releases - releases,
                partial_releases=state.partial_releases - releases,
                wheels={name: digest for name, digest in state.wheels.items() if name not in wheels},
            ),
        )
    ]
