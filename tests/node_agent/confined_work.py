"""What a confined process can do: run by a test as a process of its own, since a fork of a test run has its threads."""

import errno
import json
import os
import socket
import sys
import threading
from pathlib import Path

import numpy as np

from node_agent.host.trials.confinement import Confinement, confine

LIMITS = Confinement(memory_bytes=64 << 20, cpu_seconds=60, is_bounded=True, is_filtered=True)


def refusal_of(call, *arguments):
    try:
        call(*arguments)
    except OSError as exc:
        return errno.errorcode[exc.errno]
    except MemoryError:
        return "MemoryError"
    return "done"


def work(folder):
    kept = folder / "kept"
    return {
        "read": kept.read_text(),
        "compute": float(np.ones(1000).sum()),
        "socket": refusal_of(socket.socket),
        "unix socket": refusal_of(socket.socketpair),
        "new file": refusal_of(open, folder / "new", "w"),
        "write": refusal_of(open, kept, "a"),
        "truncate": refusal_of(os.truncate, kept, 0),
        "unlink": refusal_of(kept.unlink),
        "rename": refusal_of(kept.rename, folder / "other"),
        "mkdir": refusal_of((folder / "d").mkdir),
        "link": refusal_of(os.link, kept, folder / "l"),
        "symlink": refusal_of(os.symlink, kept, folder / "s"),
        "chmod": refusal_of(kept.chmod, 0),
        "exec": refusal_of(os.execv, "/bin/true", ["true"]),
        "fork": refusal_of(os.fork),
        "kill": refusal_of(os.kill, os.getppid(), 0),
        "memory": refusal_of(bytearray, 256 << 20),
        "thread": refusal_of(lambda: threading.Thread(target=int).start()),
        "niceness": os.nice(0),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def main():
    said = os.dup(1)
    confine(LIMITS, n_weights=0, kept=said, parent=os.getppid())
    os.write(said, json.dumps(work(Path(sys.argv[1]))).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
