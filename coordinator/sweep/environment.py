"""What the figures of a run hold for: machines, versions, and how they were before and after."""

import os
import platform
from collections.abc import Mapping

from coordinator.fleet import Fleet
from partitioner.serialize import versions


def fixed_facts(fleet: Fleet) -> dict[str, object]:
    """What does not change from run to run."""
    nodes = {
        node.name: {
            "machine": node.description.machine,
            "cpu": node.description.cpu,
            "n_cores": node.description.n_cores,
            "cores": list(node.description.cores),
            "n_threads": node.description.n_threads,
            "runtime": node.description.runtime,
            "provider": node.description.providers[0] if node.description.providers else "",
            "optimisation": node.description.optimisation,
            "version": node.description.version,
            "governor": node.description.governor,
            "slowdown": node.description.slowdown,
            "cpu_limit": node.description.cpu_limit,
            "emulation": node.device.emulation,
        }
        for node in fleet.nodes
    }
    coordinator = {"machine": platform.machine(), "system": f"{platform.system()} {platform.release()}"}
    return {"versions": dict(versions()), "coordinator": coordinator, "nodes": nodes}


def state_now(fleet: Fleet) -> Mapping[str, object]:
    """Load of this machine; temperature, memory and doubts of each node.

    Raises:
        NodeError: A node failed.
    """
    statuses = {node.name: node.client.status() for node in fleet.nodes}
    nodes = {
        name: {
            "temperature_celsius": status.temperature_celsius or None,
            "resident_bytes": status.resident_bytes,
            "warnings": list(status.warnings),
        }
        for name, status in statuses.items()
    }
    return {"load": list(os.getloadavg()), "nodes": nodes}
