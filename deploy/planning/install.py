"""What it takes from what is on a machine to what should be."""

from dataclasses import replace
from shlex import quote

from deploy.facts.installed import Installed
from deploy.layout import NODE_KEY, SYSTEM_USER, UNIT, Layout
from deploy.planning import release
from deploy.planning.service import health_command, log_command, restart_command, stop_command
from deploy.planning.wanted import Wanted
from deploy.steps import Step, write_step

_RESTART_SECONDS = 90.0


def plan_install(installed: Installed, wanted: Wanted, layout: Layout) -> tuple[Step, ...]:
    """The steps to the wanted installation; none where it is there.

    All that could take a working agent away comes after the step `keep`, whose undo brings the old one back.
    """
    is_serving = (
        installed.confirmed == wanted.stamp
        and installed.current == wanted.release
        and installed.is_active
        and not installed.kept_files  # else a change was broken off
    )
    changed = [file for file in wanted.files if installed.files.get(file.path) != file.sha256]
    steps = [
        *_folder_steps(installed, layout),
        *([] if installed.has_user or not layout.is_system else [user_step(layout)]),
        *_state_steps(installed, layout),
        *release.release_steps(installed, wanted, layout),
        *(tls_steps(installed, layout) if wanted.server_name else ()),
        *wanted.identity_steps,
    ]
    if not is_serving or changed:
        steps += [
            _keep_step(installed, wanted, layout),
            *(
                write_step(
                    f"settings {file.path.rpartition('/')[2]}",
                    file.path,
                    file.text,
                    file.sha256,
                    mode="0644",
                    as_root=layout.is_system,
                )
                for file in changed
            ),
            *([] if installed.current == wanted.release else [release.switch_step(wanted.release, layout)]),
            restart_step(layout),
            health_step(
                layout,
                wanted.address,
                health_seconds=wanted.health_seconds,
                server_name=wanted.server_name,
            ),
        ]
    if layout.has_systemd and not installed.is_enabled:
        steps.append(_enable_step(layout))
    if not is_serving or changed:
        steps.append(_confirm_step(wanted, layout))
    return (*steps, *release.prune_steps(installed, wanted, layout))


def _folder_steps(installed: Installed, layout: Layout) -> list[Step]:
    steps = []
    if not layout.folders <= installed.folders:
        steps.append(_folder_step("folders", layout.folders, "", as_root=layout.is_system))
    own = frozenset({layout.staging, layout.wheels})
    if not own <= installed.folders:
        # The login user writes there, and root must be able to hold the lock too.
        steps.append(_folder_step("staging", own, f"; touch {quote(layout.lock)}", as_root=False))
    return steps


def _folder_step(name: str, folders: frozenset[str], more: str, *, as_root: bool) -> Step:
    paths = sorted(folders)
    return Step(
        name=name,
        description=f"Make {', '.join(paths)}",
        command=f"umask 022; mkdir -p {' '.join(map(quote, paths))}{more}",
        undo=f"rmdir {' '.join(map(quote, reversed(paths)))}",
        as_root=as_root,
        after=lambda state: replace(state, folders=state.folders | folders),
    )


def user_step(layout: Layout) -> Step:
    """The agent's own user, who may log in nowhere."""
    useradd = (
        f"useradd --system --user-group --no-create-home --home-dir {quote(layout.state)} "
        f"--shell /usr/sbin/nologin {SYSTEM_USER}"
    )
    adduser = f"adduser -S -D -H -h {quote(layout.state)} -s /sbin/nologin {SYSTEM_USER}"
    return Step(
        name="user",
        description=f"Make the system user '{SYSTEM_USER}'",
        command=f"if command -v useradd >/dev/null; then {useradd}; else {adduser}; fi",
        check=f"id {SYSTEM_USER}",
        undo=f"if command -v userdel >/dev/null; then userdel {SYSTEM_USER}; else deluser {SYSTEM_USER}; fi",
        as_root=True,
        after=lambda state: replace(state, has_user=True),
    )


def _state_steps(installed: Installed, layout: Layout) -> list[Step]:
    if layout.state in installed.folders:
        return []
    state = quote(layout.state)
    owner = f"; chown {SYSTEM_USER}: {state}" if layout.is_system else ""
    return [
        Step(
            name="state",
            description=f"Make {layout.state} for shards",
            command=f"mkdir -p -m 0750 {state}{owner}",
            undo=f"rm -rf {state}",
            as_root=layout.is_system,
            after=lambda known: replace(known, folders=known.folders | {layout.state}),
        )
    ]


def tls_steps(installed: Installed, layout: Layout) -> tuple[Step, ...]:
    """Makes the folder of key and certificates; as the agent's user could write there once, what it left goes."""
    if layout.tls in installed.folders:
        return ()
    tls, key = quote(layout.tls), quote(f"{layout.tls}/{NODE_KEY}")
    # Open to others again at last: a folder that is has been gone through.
    take = rf"""
chmod 0700 {tls}; chown root: {tls}
find {tls} -mindepth 1 ! \( -type f -links 1 \) -exec rm -rf {{}} +
chown -R root: {tls}
if [ -e {key} ]; then chown {SYSTEM_USER}: {key}; fi
chmod 0755 {tls}"""
    return (
        Step(
            name="tls",
            description=f"Make {layout.tls}, where {'root' if layout.is_system else 'the login user'} alone may write",
            command=f"mkdir -p {tls}{take if layout.is_system else ''}",
            undo=f"rm -rf {tls}",
            as_root=layout.is_system,
            after=lambda state: replace(state, folders=state.folders | {layout.tls}),
        ),
    )


def _keep_step(installed: Installed, wanted: Wanted, layout: Layout) -> Step:
    """Remembers what is known to work. Its undo brings that back, or stops what never worked."""
    fallback = installed.confirmed_release if installed.confirmed_release in installed.releases else ""
    keep, restore = [], []
    for file in wanted.files:
        path = quote(file.path)
        if fallback:
            keep.append(f"if [ -e {path} ] && [ ! -e {path}.before ]; then cp -p {path} {path}.before; fi")
            restore.append(f"if [ -e {path}.before ]; then mv -f {path}.before {path}; fi")
    if fallback:
        restore += [
            release.switch_command(fallback, layout),
            restart_command(layout),
            health_command(
                layout,
                installed.confirmed_address or wanted.address,
                within_seconds=wanted.health_seconds,
                server_name=installed.confirmed_server_name,
            ),
        ]
    else:
        restore.append(stop_command(layout))
    kept = frozenset(installed.files) & {file.path for file in wanted.files} if fallback else frozenset()
    return Step(
        name="keep",
        description=f"Keep what works: {fallback}" if fallback else "Note that nothing works yet",
        command="\n".join(keep) or ":",
        undo="\n".join(restore),
        as_root=layout.is_system,
        is_guard=True,
        timeout_seconds=_RESTART_SECONDS + wanted.health_seconds,
        after=lambda state: replace(state, kept_files=state.kept_files | kept),
    )


def restart_step(layout: Layout) -> Step:
    """Starts the agent anew."""
    return Step(
        name="restart",
        description="Start the agent",
        command=restart_command(layout),
        undo=stop_command(layout),
        as_root=layout.is_system,
        is_locked=False,
        timeout_seconds=_RESTART_SECONDS,
        after=lambda state: replace(state, is_active=True),
    )


def health_step(layout: Layout, address: str, *, health_seconds: float, server_name: str) -> Step:
    """Waits until the agent is healthy."""
    return Step(
        name="health",
        description=f"Wait until the agent is healthy, {health_seconds:g} s at most",
        command=health_command(layout, address, within_seconds=health_seconds, server_name=server_name),
        as_root=layout.is_system,
        is_locked=False,
        timeout_seconds=_RESTART_SECONDS + health_seconds,
        diagnose=log_command(layout, 20),
    )


def _enable_step(layout: Layout) -> Step:
    return Step(
        name="enable",
        description="Start the agent with the machine",
        command=f"systemctl enable --quiet {UNIT}",
        check=f"systemctl is-enabled --quiet {UNIT}",
        undo=f"systemctl disable --quiet {UNIT}",
        as_root=layout.is_system,
        after=lambda state: replace(state, is_enabled=True),
    )


def _confirm_step(wanted: Wanted, layout: Layout) -> Step:
    """Says that this release with these settings works. What came before is not needed from now on."""
    before = " ".join(quote(f"{path}.before") for path in layout.managed_files)
    path = quote(layout.confirmed)
    return Step(
        name="confirm",
        description=f"Note that {wanted.release} works",
        command=f"cat >{path}.part; chmod 0644 {path}.part; mv -f {path}.part {path}; rm -f {before}",
        undo=f"rm -f {path}",
        stdin=f"{wanted.stamp}\n".encode(),
        as_root=layout.is_system,
        after=lambda state: replace(state, confirmed=wanted.stamp, kept_files=frozenset()),
    )
