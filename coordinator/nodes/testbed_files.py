"""The files by which a testbed is used like any other cluster: its cluster file, the key for SSH, an authority."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.errors import ConfigError
from deploy.pki import create_authority
from deploy.testbed import Testbed

_FIRST_LINE = "# Hosts of a testbed on this machine, gone with it."
_PORT = 50051
_CLUSTER, _KEY, _PKI = "cluster.yaml", "key", "pki"


def cluster_text(testbed: Testbed) -> str:
    """The cluster file."""
    nodes = (
        f"  - name: {host.name}\n"
        f"    address: {host.address}:{_PORT}\n"
        f"    ssh: {{user: root, key: {_KEY}, fingerprint: '{host.fingerprint}'}}\n"
        for host in testbed.hosts
    )
    return f"{_FIRST_LINE}\nname: testbed\nsecurity: {{pki: {_PKI}}}\nnodes:\n{''.join(nodes)}"


@contextmanager
def testbed_files(testbed: Testbed, folder: Path) -> Iterator[Path]:
    """Path of the cluster file, in a folder that may be there already; what is written there is taken away at the end.

    Raises:
        ConfigError: There is another cluster file, key or authority.
    """
    is_new = not folder.exists()
    cluster = folder / _CLUSTER
    if cluster.is_file() and cluster.read_text(encoding="utf-8").startswith(_FIRST_LINE):
        _remove(folder)
    for name in (_CLUSTER, _KEY, _PKI):
        if (folder / name).exists():
            raise ConfigError(str(folder / name), ["it is there already: choose another folder with --out"])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        cluster.write_text(cluster_text(testbed), encoding="utf-8")
        shutil.copy(testbed.key, folder / _KEY)
        (folder / _KEY).chmod(0o600)
        create_authority(folder / _PKI, "testbed")
        yield cluster
    finally:
        _remove(folder)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _remove(folder: Path) -> None:
    """The cluster file last: it says that the others are a testbed's."""
    shutil.rmtree(folder / _PKI, ignore_errors=True)
    for name in (_KEY, _CLUSTER):
        (folder / name).unlink(missing_ok=True)
