import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from deploy_builders import system_layout

from deploy.inventory import AgentSettings, TlsPolicy
from deploy.units import agent_words, supervisor_text, unit_text

SETTINGS = AgentSettings(
    name="pi-1",
    port=50051,
    is_loopback=False,
    tls=TlsPolicy(is_mutual=True, allows_plaintext=False),
    memory_bytes=512 << 20,
    cpu_quota=1.5,
    cores=(0, 2),
    threads=2,
)


def exposure(tmp_path, text: str) -> float:
    path = tmp_path / "splitfront-agent.service"
    path.write_text(text)
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", run.stdout)
    assert found, run.stdout + run.stderr
    return float(found[1])


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


@needs_systemd
@pytest.mark.parametrize("providers", [(), ("CUDAExecutionProvider", "CPUExecutionProvider")])
def test_the_unit_exposes_little(tmp_path, providers) -> None:
    text = unit_text(replace(SETTINGS, providers=providers), system_layout(), 252)
    assert exposure(tmp_path, text) <= 3.0


@needs_systemd
@pytest.mark.parametrize("systemd", [247, 252])
def test_systemd_understands_all_of_the_unit(tmp_path, systemd) -> None:
    path = tmp_path / "splitfront-agent.service"
    text = unit_text(SETTINGS, system_layout(), systemd).replace("/opt/splitfront/current/bin/python", "/bin/true")
    path.write_text(text.replace("User=splitfront", "User=root").replace("Group=splitfront", "Group=root"))
    run = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert "splitfront-agent" not in run.stderr, run.stderr


def test_the_unit_says_what_the_settings_want() -> None:
    lines = unit_text(SETTINGS, system_layout(), 255).splitlines()
    assert {"MemoryMax=536870912", "CPUQuota=150%", "NoNewPrivileges=yes", "ProtectSystem=strict"} <= {*lines}
    assert {"User=splitfront", "Restart=always", "RestartMaxDelaySec=60", "MemoryDenyWriteExecute=yes"} <= {*lines}
    assert "RestartMaxDelaySec=60" not in unit_text(SETTINGS, system_layout(), 252)
    command = next(line for line in lines if line.startswith("ExecStart="))
    assert "--listen 0.0.0.0:50051 --store /var/lib/splitfront/store" in command
    assert "--pki /opt/splitfront/tls" in command
    assert "--allow-plaintext" not in command


def test_words_with_a_meaning_for_systemd_are_quoted() -> None:
    text = unit_text(replace(SETTINGS, name="100%$x y"), system_layout(), 252)
    assert '--name "100%%$$x y"' in text


def test_plaintext_for_other_machines_only_where_it_was_said() -> None:
    layout = system_layout()
    clear = TlsPolicy(is_mutual=False, allows_plaintext=True)
    assert "--allow-plaintext" in agent_words(replace(SETTINGS, tls=clear), layout)
    unsaid = TlsPolicy(is_mutual=False, allows_plaintext=False)
    assert "--allow-plaintext" not in agent_words(replace(SETTINGS, tls=unsaid), layout)
    assert "127.0.0.1:50051" in agent_words(replace(SETTINGS, tls=clear, is_loopback=True), layout)


def test_the_agent_understands_its_command_line() -> None:
    from node_agent.arguments import parse_arguments

    layout = system_layout(has_systemd=False)
    words = agent_words(replace(SETTINGS, limits=("--trial-seconds=90.0",)), layout)
    config = parse_arguments(words[words.index("node_agent") + 1 :]).config
    assert config.limits.trial_seconds == 90
    assert (config.name, str(config.listen), config.cores, config.n_threads) == ("pi-1", "0.0.0.0:50051", (0, 2), 2)
    assert str(config.store) == "/var/lib/splitfront/store"
    assert '"--exit-with-stdin"' in supervisor_text(SETTINGS, layout)
