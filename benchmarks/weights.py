"""Weights travel once: what a second split of vgg16 costs, what a cut costs, and what many small weights cost far away.

Two local nodes are given all that a profile gives them, the whole model each, side by side. Then one split is deployed,
and after it several others: bytes sent, and seconds until the plan is live and verified, less the seconds that opening
the sessions took on the nodes. The reset comes on a proxy in the middle of the largest weight; the rate of the first
sending is held against one core's SHA-256 and file system doing the same bytes alone. A link of 100 ms is a proxy that
passes bytes on 50 ms late, both ways.
"""

import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  the number of threads is read when it loads

from benchmarks._cutting_proxy import CuttingProxy  # noqa: E402
from benchmarks._figures import Figure, at_least, at_most, parse_arguments, publish  # noqa: E402
from coordinator.config import local_cluster  # noqa: E402
from coordinator.deployment import deploy_plan  # noqa: E402
from coordinator.fleet import Fleet, FleetNode, connect_fleet  # noqa: E402
from coordinator.planning import probe_links  # noqa: E402
from coordinator.profiling import profile_fleet  # noqa: E402
from coordinator.provisioning import send_shards  # noqa: E402
from node_agent.client import NodeClient  # noqa: E402
from node_agent.errors import NodeUnreachableError  # noqa: E402
from node_agent.messages import BlobRef  # noqa: E402
from partitioner.cost import CostModel  # noqa: E402
from partitioner.onnx_io import Model, load_model  # noqa: E402
from partitioner.plan import Candidate, Stage  # noqa: E402

MODEL = "vgg16"
ROUND_TRIP_SECONDS = 0.1
N_SMALL = 300
SMALL_BYTES = 4096
MEGABYTE = 1e6


def main() -> int:
    """Measures all three and publishes the figures."""
    arguments = parse_arguments(__doc__)
    model = load_model(MODEL)
    with tempfile.TemporaryDirectory(prefix="splitfront-") as name:
        folder = Path(name)
        with connect_fleet(local_cluster(2), run_dir=folder / "two") as fleet:
            figures = first_sending(fleet, model, folder)
            figures += second_splits(fleet, model, n_splits=2 if arguments.quick else 6)
        with connect_fleet(local_cluster(1), run_dir=folder / "one") as fleet:
            figures += resumed(fleet.nodes[0], model)
            figures += small_blobs(fleet.nodes[0], n_rounds=1 if arguments.quick else 5)
    return publish(figures, arguments.json)


def first_sending(fleet: Fleet, model: Model, folder: Path) -> list[Figure]:
    """The whole model to two nodes at once."""
    whole = model.whole_shard()
    alone = statistics.median(hash_and_write(model, folder) for _ in range(3))
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        sent = sum(pool.map(lambda node: send_shards(node.client, model, [whole]), fleet.nodes))
    rate = sent / (time.perf_counter() - started)
    ratio = rate / alone
    return [
        Figure(name="weights_first_rate", value=rate / MEGABYTE, interval=(rate / MEGABYTE,) * 2, unit="MB/s"),
        Figure(name="weights_first_rate_to_hash_and_write", value=ratio, interval=(ratio, ratio), unit="ratio"),
    ]


def hash_and_write(model: Model, folder: Path) -> float:
    """Bytes per second of what any store of content by digest must do, by one core."""
    contents = [model.read_blob(blob.sha256) for blob in model.whole_shard().blobs]
    started = time.perf_counter()
    for number, content in enumerate(contents):
        with (folder / f"alone-{number}").open("wb") as file:
            file.write(content)
            hashlib.sha256(content).digest()
            file.flush()
            os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    for number in range(len(contents)):
        (folder / f"alone-{number}").unlink()
    return sum(map(len, contents)) / seconds


def second_splits(fleet: Fleet, model: Model, *, n_splits: int) -> list[Figure]:
    """One split, then others: share of the model's bytes, and seconds until live beside opening sessions."""
    candidate_at = candidates(fleet, model)
    weight_bytes = sum(blob.n_bytes for blob in model.whole_shard().blobs)
    positions = [round(position) for position in np.linspace(1, model.graph.n_units - 1, n_splits + 1)]
    shares, seconds, sessions = [], [], []
    for position in positions:
        started = time.perf_counter()
        with deploy_plan(fleet, model, candidate_at(position)) as deployment:
            live = time.perf_counter() - started
        shares.append(deployment.sent_bytes / weight_bytes)
        seconds.append(live - deployment.session_seconds)
        sessions.append(deployment.session_seconds)
    return [
        at_most("weights_second_split_bytes", *worst(shares[1:]), "of model", 0.01),
        at_most("weights_second_split_seconds", *worst(seconds[1:]), "s", 2.0),
        Figure(
            name="weights_second_split_sessions_seconds",
            value=worst(sessions[1:])[0],
            interval=worst(sessions[1:])[1],
            unit="s",
        ),
    ]


def candidates(fleet: Fleet, model: Model) -> Callable[[int], Candidate]:
    """Plans of two stages, by their split point, under a profile of whole models only."""
    n_units = model.graph.n_units
    first, second = (node.name for node in fleet.nodes)
    whole = {node.name: [(0, n_units)] for node in fleet.nodes}
    profile = profile_fleet(fleet, model, whole, n_rounds=3, budget_seconds=1)
    cost_model = CostModel(model.graph, probe_links(fleet, lambda *_: None), profile)
    return lambda position: cost_model.candidate(
        (Stage(device=first, start=0, stop=position), Stage(device=second, start=position, stop=n_units))
    )


def worst(values: list[float]) -> tuple[float, tuple[float, float]]:
    """The largest, with both ends."""
    return max(values), (min(values), max(values))


def resumed(node: FleetNode, model: Model) -> list[Figure]:
    """The largest weight, cut by a reset at its half: bytes over the wire afterwards, of those that had not come."""
    largest = max(model.whole_shard().blobs, key=lambda blob: blob.n_bytes)
    ref = BlobRef(sha256=largest.sha256, n_bytes=largest.n_bytes)
    content = model.read_blob(ref.sha256)
    with CuttingProxy(node.address) as proxy:
        proxy.cut_after(ref.n_bytes // 2)
        try:
            with NodeClient.connect(proxy.address) as client:
                client.put_blob(ref, (content,))
            sys.exit("the transfer was not cut")
        except NodeUnreachableError:
            pass
        with NodeClient.connect(proxy.address) as client:
            while not (missing := client.missing_blobs((ref,))[0]).n_have:
                time.sleep(0.05)
            before = proxy.n_forwarded
            client.put_blob(missing, (content[missing.n_have :],))
            ratio = (proxy.n_forwarded - before) / (ref.n_bytes - missing.n_have)
    kept = missing.n_have / (ref.n_bytes // 2)
    return [
        at_most("weights_resumed_bytes", ratio, (ratio, ratio), "of rest", 1.02),
        at_least("weights_resumed_kept", kept, (kept, kept), "of passed", 0.8),
    ]


def small_blobs(node: FleetNode, *, n_rounds: int) -> list[Figure]:
    """Round trips that many small weights take over a long link, all else included."""
    draw = np.random.default_rng(0)
    found = []
    with CuttingProxy(node.address, ROUND_TRIP_SECONDS / 2) as proxy:
        for _ in range(n_rounds):
            contents = [draw.bytes(SMALL_BYTES) for _ in range(N_SMALL)]
            refs = [BlobRef(sha256=hashlib.sha256(content).hexdigest(), n_bytes=len(content)) for content in contents]
            with NodeClient.connect(proxy.address) as client:
                started = time.perf_counter()
                missing = client.missing_blobs(refs)
                client.put_blobs((ref, (content,)) for ref, content in zip(missing, contents, strict=True))
                found.append((time.perf_counter() - started) / ROUND_TRIP_SECONDS)
    value, interval = statistics.median(found), (min(found), max(found))
    return [at_most(f"weights_{N_SMALL}_small_round_trips", value, interval, "trips", 20)]


if __name__ == "__main__":
    sys.exit(main())
