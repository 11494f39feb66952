"""The door to paramiko: connections whose host keys are checked, and a runner over them."""

from deploy.ssh.login import HostKeyRules, connect
from deploy.ssh.running import Ask, SshRunner

__all__ = ["Ask", "HostKeyRules", "SshRunner", "connect"]
