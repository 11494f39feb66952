"""What a machine is like: shell commands, and pure parsers of what they say."""

from deploy.facts.conditions import CONDITIONS, Conditions
from deploy.facts.fact import Fact, gather
from deploy.facts.installed import Installed, installed_fact
from deploy.facts.machine import MACHINE, Machine
from deploy.facts.network import NETWORK, Interface, Network

__all__ = [
    "CONDITIONS",
    "MACHINE",
    "NETWORK",
    "Conditions",
    "Fact",
    "Installed",
    "Interface",
    "Machine",
    "Network",
    "gather",
    "installed_fact",
]
