"""What it takes to leave a machine as it was."""

from dataclasses import replace
from shlex import quote

from deploy.facts.installed import NOTHING, Installed
from deploy.layout import Layout
from deploy.planning.install import user_step
from deploy.planning.service import stop_command
from deploy.planning.shaping import clear_command, shaped_interfaces
from deploy.steps import Step

_STOP_SECONDS = 60.0


def plan_removal(installed: Installed, qdiscs: tuple[str, ...], layout: Layout) -> tuple[Step, ...]:
    """The steps after which nothing of ours is left; none where nothing is there. What others put there stays."""
    steps = _shaping_steps(qdiscs, layout)
    if not installed.is_foreign:
        steps += [*_service_steps(installed, layout), *_folder_steps(installed, layout)]
    if installed.has_user and layout.is_system:
        made = user_step(layout)
        steps.append(
            Step(
                name="user",
                description="Take away the system user",
                command=made.undo,
                as_root=True,
                is_locked=False,
                after=lambda state: replace(state, has_user=False),
            )
        )
    return tuple(steps)


def _shaping_steps(qdiscs: tuple[str, ...], layout: Layout) -> list[Step]:
    return [
        Step(
            name=f"shaping {interface}",
            description=f"Shape {interface} no more",
            command=clear_command(interface),
            as_root=layout.is_system,
            is_locked=False,
        )
        for interface in shaped_interfaces(qdiscs)
    ]


def _service_steps(installed: Installed, layout: Layout) -> list[Step]:
    if not (installed.files or installed.kept_files or installed.is_active or installed.is_enabled):
        return []
    paths = [path for file in layout.managed_files for path in (file, f"{file}.before", f"{file}.part")]
    reload = "; systemctl daemon-reload" if layout.has_systemd else ""
    return [
        Step(
            name="stop",
            description="Stop the agent",
            command=stop_command(layout),
            as_root=layout.is_system,
            is_locked=False,
            timeout_seconds=_STOP_SECONDS,
            after=lambda state: replace(state, is_active=False, is_enabled=False, pid=0, n_restarts=0),
        ),
        Step(
            name="service",
            description="Take away the service",
            command=f"rm -f {' '.join(map(quote, paths))}{reload}",
            as_root=layout.is_system,
            is_locked=False,
            after=lambda state: replace(state, files={}, kept_files=frozenset()),
        ),
    ]


def _folder_steps(installed: Installed, layout: Layout) -> list[Step]:
    """Takes away what an install makes, then the root and those above that an install may have made, if empty now."""
    folders = [path for path in (layout.state, layout.logs, layout.root, layout.staging) if path in installed.folders]
    if not folders:
        return []
    above = [folder.rpartition("/")[0] for folder in folders]
    parents = {parent for path in above for parent in (path, path.rpartition("/")[0]) if _is_ours_to_end(parent)}
    empty = [layout.root, *sorted(parents, reverse=True)]
    ends = "".join(f"; rmdir {quote(path)} 2>/dev/null || true" for path in empty)
    left = frozenset({layout.root} if installed.others else ())
    step = Step(
        name="folders",
        description=f"Take away {', '.join(folders)}",
        command=f"rm -rf {' '.join(map(quote, layout.own_paths))}{ends}",
        as_root=layout.is_system,
        is_locked=False,
        after=lambda state: replace(NOTHING, folders=left, others=state.others, has_user=state.has_user),
    )
    return [step]


def _is_ours_to_end(path: str) -> bool:
    """Whether an install may have made the folder: those below a home that programs share."""
    return path.endswith(("/.cache", "/.local", "/.local/share"))
