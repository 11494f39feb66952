"""`cluster.yaml`: which machines there are and how they are linked. The door to pydantic and to YAML."""

from coordinator.config.cluster import ClusterConfig, cluster_json_schema, load_cluster, parse_cluster
from coordinator.config.conditions import load_conditions
from coordinator.config.example import demo_cluster, example_text, local_cluster
from coordinator.config.sections import NodeConfig

__all__ = [
    "ClusterConfig",
    "NodeConfig",
    "cluster_json_schema",
    "demo_cluster",
    "example_text",
    "load_cluster",
    "load_conditions",
    "local_cluster",
    "parse_cluster",
]
