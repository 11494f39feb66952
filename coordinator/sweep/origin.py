"""What a sweep's links and studies are made from, as digests: a folder may hold those of several descriptions."""

import hashlib
import json
from pathlib import Path

from coordinator.config.cluster import ClusterConfig
from coordinator.config.sections import DataPlane
from coordinator.config.sweep import SweepConfig, SweptModel
from coordinator.sweep.applying import bare_config

_N_DIGITS = 12


def links_origin(cluster: ClusterConfig, plane: DataPlane) -> str:
    """Of a cluster whose links are probed over a data plane, nothing emulated."""
    return _digest(bare_config(cluster, plane).model_dump(mode="json"))


def study_origin(config: SweepConfig, cluster: ClusterConfig, model: SweptModel) -> str:
    """Of graph, profile and codecs of a model on a cluster. What is in the model's files counts, not where they are.

    Raises:
        OSError: A file of the model cannot be read.
    """
    made_from = {
        "nodes": [node.model_dump(mode="json") for node in cluster.nodes],
        "source": _file_digest(Path(model.source)) or model.source,
        "weights": model.weights and _file_digest(model.weights),
        "model": model.model_dump(mode="json", include={"dims", "seed"}),
        "sweep": config.model_dump(mode="json", include={"seed", "codecs", "profile_seconds"}),
    }
    return _digest(made_from)


def _file_digest(path: Path) -> str | None:
    """None where there is no file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(made_from: object) -> str:
    text = json.dumps(made_from, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_N_DIGITS]
