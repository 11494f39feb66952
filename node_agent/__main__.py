"""`python -m node_agent`: one node, until it is told to end."""

import json
import logging
import os
import signal
import sys
import threading

from node_agent.tls.versions import TLS_1_3_ONLY

# gRPC's core reads both when it is loaded; it would write lines of its own to stderr, beside our log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault(*TLS_1_3_ONLY)

from node_agent.agent import Agent
from node_agent.arguments import Arguments, parse_arguments
from node_agent.errors import AgentConfigError, ListenError
from node_agent.host.allocator import keep_for_messages
from node_agent.host.descriptors import allow_many_files
from node_agent.host.processors import confine_to
from node_agent.log import configure_log
from node_agent.server import AgentServer

_logger = logging.getLogger("node_agent")


def main() -> int:
    """Runs the agent and returns its exit status."""
    keep_for_messages()
    allow_many_files()
    try:
        arguments = parse_arguments(sys.argv[1:])
        configure_log(arguments.log_format, arguments.log_level)
        _serve(arguments)
    except (AgentConfigError, ListenError) as exc:
        sys.stderr.write(f"node_agent: {exc}\n")
        return 1
    return 0


def _serve(arguments: Arguments) -> None:
    """Serves until a signal, or the end of stdin, says to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.exit_with_stdin:
        threading.Thread(target=_set_at_end_of_stdin, args=(stop,), daemon=True).start()
    if arguments.config.cores:
        confine_to(arguments.config.cores)  # before the runtime starts its threads, which inherit it
    agent = Agent(arguments.config)
    try:
        server = AgentServer(agent)
    except (AgentConfigError, ListenError):
        agent.close()
        raise
    _announce(arguments.config.name, str(server.address), agent.tcp_port)
    stop.wait()
    _logger.info("agent stops")
    server.stop()


def _set_at_end_of_stdin(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        continue
    stop.set()


def _announce(name: str, address: str, tcp_port: int) -> None:
    event = {"event": "listening", "name": name, "address": address, "tcp_port": tcp_port, "pid": os.getpid()}
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
    _logger.info("agent listens", extra={"node": name, "address": address, "tcp_port": tcp_port})


if __name__ == "__main__":
    sys.exit(main())
