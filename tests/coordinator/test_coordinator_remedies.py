"""What is said to help where a node cannot be reached fits how its agent got there."""

from coordinator.config.sections import NodeConfig, SshConfig
from coordinator.fleet import remedy_of
from node_agent.errors import NodeUnreachableError

ADDRESS = "127.0.0.1:50951"


def remedy(ssh: SshConfig | None) -> str:
    return remedy_of(
        NodeUnreachableError("Cannot reach it."), NodeConfig(name="pi-1", address=ADDRESS, ssh=ssh), ADDRESS
    )


def test_a_node_over_ssh_is_installed_by_splitfront() -> None:
    assert "splitfront nodes install pi-1" in remedy(SshConfig(user="pi"))


def test_another_node_is_started_by_hand() -> None:
    assert f"python -m node_agent --listen {ADDRESS}" in remedy(None)
