"""Hosts for tests on this machine: a Linux kernel each by User-Mode Linux, or (`aarch64`) a Debian under qemu-user."""

from deploy.testbed.bed import Testbed, running_testbed
from deploy.testbed.machine import TestbedHost
from deploy.testbed.needs import missing_needs

__all__ = ["Testbed", "TestbedHost", "missing_needs", "running_testbed"]
