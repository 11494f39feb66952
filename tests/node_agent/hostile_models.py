"""Models that want to hurt who opens them. Each is a graph's bytes, and what the refusal says of it."""

import re

import hostile_files  # noqa: F401 - makes some
import hostile_graphs  # noqa: F401
import hostile_work  # noqa: F401
import numpy as np
from hostile_kit import MADE, Hostile
from node_shards import matmul_shard


def hostile_models() -> list[Hostile]:
    """All of them, built anew."""
    models = []
    for name, make, words, is_quick in MADE:
        made = make()
        content, blobs = made if isinstance(made, tuple) else (made, ())
        content = content if isinstance(content, bytes) else content.SerializeToString()
        models.append(Hostile(name, content, words, blobs, is_quick))
    return models


def truncations(n: int = 100) -> list[bytes]:
    """A good graph, cut off at `n` places."""
    whole = matmul_shard().contents[matmul_shard().ref.graph.sha256]
    places = np.linspace(0, len(whole) - 1, n).astype(int)
    return [whole[:place] for place in dict.fromkeys(places.tolist())]


def is_one_line(message: str) -> bool:
    return not re.search(r"[\n\r]", message) and len(message) < 2000
