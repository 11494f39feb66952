"""How the agent is kept up: a hardened systemd unit, or settings of our own supervisor. Pure texts."""

import json
from importlib import resources

from deploy.inventory import AgentSettings
from deploy.layout import SYSTEM_USER, Layout
from deploy.planning.wanted import ManagedFile

_STEPPED_BACK_OFF_SINCE = 254
"""Version of systemd that knows RestartSteps."""


def agent_address(settings: AgentSettings) -> str:
    """Where the agent answers on its own machine."""
    return f"127.0.0.1:{settings.port}"


def agent_words(settings: AgentSettings, layout: Layout) -> tuple[str, ...]:
    """The agent's command line."""
    words = [f"{layout.current}/bin/python", "-IB", "-m", "node_agent", "--name", settings.name]
    words += ["--listen", f"{'127.0.0.1' if settings.is_loopback else '0.0.0.0'}:{settings.port}"]  # noqa: S104 - its purpose
    words += ["--store", f"{layout.state}/store"]
    if settings.tcp_port:
        words += ["--tcp-port", str(settings.tcp_port)]
    if settings.tls.is_mutual:
        words += ["--pki", layout.tls]
    if settings.tls.allows_plaintext and not settings.is_loopback and not settings.tls.is_mutual:
        words.append("--allow-plaintext")
    if settings.threads:
        words += ["--threads", str(settings.threads)]
    for provider in settings.providers:
        words += ["--provider", provider]
    if settings.optimisation:
        words += ["--optimisation", settings.optimisation]
    if settings.cores:
        words += ["--cores", ",".join(map(str, settings.cores))]
    return (*words, *settings.limits)


def managed_files(settings: AgentSettings, layout: Layout, systemd: int | None) -> tuple[ManagedFile, ...]:
    """The files that keep the agent up."""
    if layout.has_systemd:
        return (ManagedFile(path=layout.unit, text=unit_text(settings, layout, systemd or 0)),)
    program = (resources.files("deploy") / "supervisor.py").read_text(encoding="utf-8")
    return (
        ManagedFile(path=layout.supervisor_settings, text=supervisor_text(settings, layout)),
        ManagedFile(path=layout.supervisor, text=program),
    )


def supervisor_text(settings: AgentSettings, layout: Layout) -> str:
    """What the supervisor is told, as JSON."""
    content = {
        "command": (*agent_words(settings, layout), "--exit-with-stdin"),
        "folder": layout.logs,
        "working_folder": layout.state,
        "user": SYSTEM_USER if layout.is_system else None,
        "environment": _environment(layout),
    }
    return json.dumps(content, indent=2) + "\n"


def _environment(layout: Layout) -> dict[str, str]:
    return {"HOME": layout.state, "OMP_WAIT_POLICY": "PASSIVE"}


def unit_text(settings: AgentSettings, layout: Layout, systemd: int) -> str:
    """The unit: no privilege, no write access but to its state, limited memory, restarted with back-off."""
    memory = str(settings.memory_bytes) if settings.memory_bytes else "90%"
    lines = [
        "[Unit]",
        "Description=splitfront node agent",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(map(_unit_word, agent_words(settings, layout)))}",
        *(f"Environment={name}={value}" for name, value in _environment(layout).items()),
        f"User={SYSTEM_USER}",
        f"Group={SYSTEM_USER}",
        "Restart=always",
        *(
            ("RestartSec=1", "RestartSteps=6", "RestartMaxDelaySec=60")
            if systemd >= _STEPPED_BACK_OFF_SINCE
            else ("RestartSec=5",)
        ),
        "TimeoutStopSec=20",
        "",
        "# Limits",
        f"MemoryMax={memory}",
        "MemorySwapMax=0",
        *((f"CPUQuota={settings.cpu_quota * 100:g}%",) if settings.cpu_quota else ()),
        "TasksMax=4096",
        "LimitNOFILE=65536",
        "OOMPolicy=stop",
        "",
        "# It may write to its state and nowhere else",
        *_file_rules(layout),
        "",
        "# It is nobody, and stays so",
        *_privilege_rules(settings),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _unit_word(word: str) -> str:
    """A word of a command line, as systemd reads it: `%` and `$` mean something there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" '\"\\;") else escaped


def _file_rules(layout: Layout) -> tuple[str, ...]:
    return (
        "ProtectSystem=strict",
        f"ReadWritePaths={layout.state}",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "UMask=0077",
        "ProtectProc=invisible",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
    )


def _privilege_rules(settings: AgentSettings) -> tuple[str, ...]:
    accelerator = settings.has_gpu or any(name != "CPUExecutionProvider" for name in settings.providers)
    return (
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "RestrictRealtime=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "LockPersonality=yes",
        "RemoveIPC=yes",
        "KeyringMode=private",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged",
        "SystemCallErrorNumber=EPERM",
        # Drivers of accelerators map device files, and write programs that they then run.
        *(("PrivateDevices=no",) if accelerator else ("PrivateDevices=yes", "MemoryDenyWriteExecute=yes")),
    )
