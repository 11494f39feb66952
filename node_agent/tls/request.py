"""`python -m node_agent.tls.request`: makes this node's key, and prints the request to be signed. The key stays here.

The key is made by the command `openssl`, which every Debian and Raspberry Pi OS has (ca-certificates depends on it): it
costs nothing to install, is kept safe by the distribution, and computes in constant time. Python has nothing of its own
for it; `cryptography` takes 16 MB of a node that has no other use for it; arithmetic of ours would leak secrets.
"""

import argparse
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from node_agent.config import TlsFiles
from node_agent.errors import AgentConfigError

MAKE_KEY = (
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-pkeyopt",
    "ec_param_enc:named_curve",
)
_SECONDS = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_EXAMPLES = """\
examples:
  python -m node_agent.tls.request --pki /etc/splitfront/pki --name pi-1 > pi-1.csr
      then, where the authority is: splitfront pki issue pi-1 --request pi-1.csr --address 192.168.1.11
      and put what that names into the same folder: node.pem, ca.pem, revoked.pem

The key is DIR/node.key. One that is there is kept, so that this can be repeated; remove it to have another made.
"""


def request_command(key: Path) -> tuple[str, ...]:
    """Arguments of `openssl` that print a signing request; its configuration comes on standard input."""
    return ("req", "-new", "-batch", "-sha256", "-config", "/dev/stdin", "-key", str(key))


def request_config(name: str) -> str:
    """What a signing request holds: who sends it. What else a certificate says is up to the authority.

    Raises:
        AgentConfigError: `name` cannot be a node's.
    """
    if not _NAME.fullmatch(name):
        raise AgentConfigError(
            f"{name[:64]!r} cannot be in a certificate: want letters, digits, '.', '_' and '-', 63 at most; see --name"
        )
    return f"[req]\ndistinguished_name = name\nprompt = no\nstring_mask = utf8only\n[name]\nCN = {name}\n"


def make_request(folder: Path, name: str) -> str:
    """A signing request for the node's key, which is made if there is none.

    Args:
        folder: Where the key is, as `node.key`; made if it is missing, for the owner only.
        name: That of the node.

    Raises:
        AgentConfigError: The folder cannot be written, or there is no `openssl`.
    """
    config = request_config(name)
    key = TlsFiles.of_node(folder).key
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not key.exists():
            _write_key(key, _openssl(MAKE_KEY))
    except OSError as exc:
        raise AgentConfigError(f"Cannot write the key {key}: {exc.strerror}.") from exc
    return _openssl(request_command(key), config.encode()).decode("ascii")


def _openssl(arguments: Sequence[str], given: bytes = b"") -> bytes:
    """What `openssl` prints. Secrets go through pipes and files of mode 0600, never through arguments."""
    program = shutil.which("openssl")
    if program is None:
        raise AgentConfigError("There is no command openssl, which makes keys: install the system's package openssl.")
    environment = {"PATH": os.defpath, "LC_ALL": "C", "HOME": "/nonexistent"}
    try:
        run = subprocess.run(  # noqa: S603 - a fixed command
            (program, *arguments), input=given, capture_output=True, env=environment, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise AgentConfigError(f"openssl {arguments[0]} did not end within {_SECONDS:g} s.") from exc
    if run.returncode != 0:
        said = run.stderr.decode(errors="replace").strip().splitlines()
        raise AgentConfigError(f"openssl {arguments[0]} failed: {said[0][:200] if said else run.returncode}.")
    return run.stdout


def _write_key(path: Path, content: bytes) -> None:
    """Whole or not at all, for the owner only. A key that somebody else has put there meanwhile stays."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def main(words: Sequence[str]) -> int:
    """Prints a request and returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m node_agent.tls.request",
        description="Makes the key of this node, if there is none, and prints a request to be signed.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--pki", type=Path, required=True, metavar="DIR", help="folder of the node's key")
    parser.add_argument("--name", default=platform.node() or "node", help="name of the node (default: the host's)")
    given = parser.parse_args(words)
    try:
        sys.stdout.write(make_request(given.pki, given.name))
    except AgentConfigError as exc:
        sys.stderr.write(f"node_agent.tls.request: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
