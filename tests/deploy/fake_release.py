"""Releases small enough for quick tests: an agent that listens and makes a key, as a wheel."""

import zipfile
from pathlib import Path

from deploy.planning.wanted import Wheel, sha256_of

_ROOT = Path(__file__).parents[2]
_REAL = tuple(f"node_agent/{name}.py" for name in ("errors", "limits", "config", "tls/__init__", "tls/request"))
"""What makes a node's key, as it is."""

_AGENT = """
import socket, sys, threading, os, time
def main():
    if "--version" in sys.argv:
        print("VERSION")
        return 0
    if BROKEN:
        sys.stderr.write("node_agent: this release is broken\\n")
        return 1
    host, _, port = sys.argv[sys.argv.index("--listen") + 1].rpartition(":")
    server = socket.create_server((host, int(port)), reuse_port=False)
    if "--exit-with-stdin" in sys.argv:
        threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    print("version VERSION listens", flush=True)
    while True:
        server.accept()[0].close()
if __name__ == "__main__":
    sys.exit(main())
"""

_HEALTH = """
import socket, sys, time
address, within = (sys.argv[sys.argv.index(name) + 1] for name in ("--address", "--within"))
host, _, port = address.rpartition(":")
ends_at = time.monotonic() + min(float(within), 30)
while True:
    with socket.socket() as trial:
        if trial.connect_ex((host, int(port))) == 0:
            sys.exit(0)
    if time.monotonic() > ends_at:
        sys.stderr.write(f"the agent at {address} is not healthy\\n")
        sys.exit(1)
    time.sleep(0.02)
"""

_REQUEST = """
import os, pathlib, subprocess, sys
folder, name = (sys.argv[sys.argv.index(word) + 1] for word in ("--pki", "--name"))
key = pathlib.Path(folder, "node.key")
if not key.exists():
    words = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{key}.part"]
    subprocess.run(words, check=True, capture_output=True)
    os.replace(f"{key}.part", key)
subprocess.run(["openssl", "req", "-new", "-batch", "-subj", f"/CN={name}", "-key", str(key)], check=True)
"""


def fake_wheels(folder: Path, version: str, *, is_broken: bool = False) -> tuple[Wheel, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    return (_wheel(fake_wheel(folder, version, is_broken=is_broken)),)


def fake_wheel(folder: Path, version: str, *, is_broken: bool = False, payload: bytes = b"") -> Path:
    agent = _AGENT.replace("VERSION", version).replace("BROKEN", str(is_broken))
    info = f"splitfront-{version}.dist-info"
    files = {
        **{name: (_ROOT / name).read_text() for name in _REAL},
        "node_agent/__init__.py": "",
        "node_agent/__main__.py": agent,
        "node_agent/tls/__init__.py": "",
        "node_agent/tls/request.py": _REQUEST,
        "deploy/__init__.py": "",
        "deploy/health.py": _HEALTH,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: splitfront\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    contents: dict[str, str | bytes] = {**files, **({"node_agent/payload": payload} if payload else {})}
    record = "".join(f"{name},,\n" for name in (*contents, f"{info}/RECORD"))
    path = folder / f"splitfront-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 2, 1, 0, 0, 0)), content)
    return path


def _wheel(path: Path) -> Wheel:
    content = path.read_bytes()
    return Wheel(path=path, sha256=sha256_of(content), n_bytes=len(content))
