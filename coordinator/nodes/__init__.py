"""Machines of a cluster that are reached over SSH: from `cluster.yaml` to `deploy`, many at a time."""

from coordinator.nodes.fleet_access import FleetAccess, asking_once
from coordinator.nodes.inventory import hosts_of, remote_nodes
from coordinator.nodes.speaking import speak_to_agents

__all__ = ["FleetAccess", "asking_once", "hosts_of", "remote_nodes", "speak_to_agents"]
