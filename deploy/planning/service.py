"""Commands that start, stop and question the agent, whatever keeps it up."""

from shlex import quote

from deploy.layout import SYSTEM_USER, UNIT, Layout

_HOLD_SECONDS = 2


def restart_command(layout: Layout) -> str:
    """Starts the agent anew, with the settings that are written."""
    if layout.has_systemd:
        return f"systemctl daemon-reload; systemctl reset-failed {UNIT} 2>/dev/null || true; systemctl restart {UNIT}"
    return layout.supervise("restart")


def stop_command(layout: Layout) -> str:
    """Ends the agent, and what keeps it up. Fails where it runs on, not where it cannot be asked and runs not."""
    if layout.has_systemd:
        return f"systemctl disable --now {UNIT} 2>/dev/null || true"
    supervisor, settings, pid_file = map(quote, (layout.supervisor, layout.supervisor_settings, layout.pid_file))
    is_free = f"[ ! -e {pid_file} ] || flock -n {pid_file} true"
    return f"if [ -e {supervisor} ] && [ -e {settings} ]; then {layout.supervise('stop')} || {is_free}; fi"


def log_command(layout: Layout, n_lines: int, *, follows: bool = False) -> str:
    """Prints the newest lines of the agent's log."""
    if layout.has_systemd:
        return f"journalctl --no-pager -o short-iso -u {UNIT} -n {n_lines}{' -f' if follows else ''}"
    if follows:
        return f"tail -n {n_lines} -F {quote(layout.log)}"
    return f"cat {quote(layout.log)}.1 {quote(layout.log)} 2>/dev/null | tail -n {n_lines}"


def health_command(layout: Layout, address: str, *, within_seconds: float, server_name: str) -> str:
    """Succeeds once the agent says by the gRPC health protocol that it serves, and goes on saying it.

    Args:
        layout: Of the installation.
        address: Where the agent answers on its own machine.
        within_seconds: How long it may take.
        server_name: What its certificate calls it; empty: it speaks in clear.
    """
    tls = f" --tls {quote(layout.tls)} --server-name {quote(server_name)}" if server_name else ""
    python = quote(f"{layout.current}/bin/python")
    command = (
        f"{python} -IB -m deploy.health --address {quote(address)} --within {within_seconds:g} "
        f"--hold {_HOLD_SECONDS}{tls}"
    )
    return f"su -s /bin/sh -c {quote(command)} {SYSTEM_USER}" if layout.is_system else command
