"""Machines of a cluster that are reached over SSH: from `cluster.yaml` to `deploy`, many at a time."""

from coordinator.nodes.fleet_access import FleetAccess
from coordinator.nodes.inventory import hosts_of
from coordinator.nodes.signing import signer

__all__ = ["FleetAccess", "hosts_of", "signer"]
