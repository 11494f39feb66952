"""Hosts for tests on this machine, each with a Linux kernel of its own: User-Mode Linux in a network namespace."""

from deploy.testbed.bed import Testbed, running_testbed
from deploy.testbed.machine import TestbedHost
from deploy.testbed.needs import missing_needs

__all__ = ["Testbed", "TestbedHost", "missing_needs", "running_testbed"]
