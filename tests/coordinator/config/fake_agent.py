"""Stands in for `python -m node_agent` as far as its parent can tell: takes its options, says an address, waits.

usage: fake_agent.py BEHAVIOUR AGENT_OPTION…
"""

# ruff: noqa: T201 - its output is what its parent waits for

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    behaviour = sys.argv[1]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in (
        "--listen",
        "--name",
        "--store",
        "--log-format",
        "--threads",
        "--slowdown",
        "--optimisation",
        "--cores",
    ):
        parser.add_argument(option)
    parser.add_argument("--provider", action="append")
    parser.add_argument("--exit-with-stdin", action="store_true")
    options = parser.parse_args(sys.argv[2:])
    Path(options.store).mkdir(parents=True, exist_ok=True)
    Path(options.store, "options.json").write_text(
        json.dumps(vars(options) | {"pid": os.getpid(), "session": os.getsid(0)})
    )

    if behaviour in ("fails", f"fails:{options.name}"):
        print("first line\nthe store is on fire", file=sys.stderr)
        return 3
    if behaviour == f"silent:{options.name}":
        sys.stdin.read()
        return 0
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "chatty":
        print('not json\n{"event": "warming up"}\n[1, 2]')
    print('{"event": "listening", "addr', end="", flush=True)  # a line may come in pieces
    print(f'ess": "127.0.0.1:{os.getpid()}"}}', flush=True)
    if behaviour in ("stubborn", "deaf"):
        while True:
            time.sleep(60)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
