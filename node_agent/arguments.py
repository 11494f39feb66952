"""The agent's command line, as a configuration."""

import argparse
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from node_agent.config import (
    DEFAULT_PROVIDERS,
    OPTIMISATIONS,
    Address,
    AgentConfig,
    TlsFiles,
    default_store,
    parse_address,
    parse_bytes,
    parse_cores,
    parse_tcp_port,
)
from node_agent.errors import AgentConfigError
from node_agent.host.control_group import cpu_limit, own_group
from node_agent.host.facts import splitfront_version
from node_agent.host.processors import default_threads, usable_cores
from node_agent.limits import MEMORY_SHARE, Limits

Value = TypeVar("Value")
_DEFAULTS = Limits()

_EXAMPLES = """\
examples:
  python -m node_agent
      on this machine only, at 127.0.0.1:50051
  python -m node_agent --listen 0.0.0.0:50051 --pki /etc/splitfront/pki
      for a cluster, with mutual TLS; python -m node_agent.tls.request makes the key
  python -m node_agent --listen 127.0.0.1:0 --name pi-1 --threads 1 --slowdown 4 --store /tmp/pi-1
      a device four times slower, on a free port, which the first line of output names

The first line on stdout is JSON: {"event": "listening", "name": ..., "address": ..., "tcp_port": ..., "pid": ...}.
The log goes to stderr.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What the command line said."""

    config: AgentConfig
    log_format: str
    log_level: str
    exit_with_stdin: bool


def parse_arguments(words: Sequence[str]) -> Arguments:
    """The command line's meaning. Exits with a usage message, as argparse does, where it has none.

    Raises:
        AgentConfigError: The words are fine, but do not go together.
    """
    given = _parser().parse_args(words)
    config = AgentConfig(
        name=given.name,
        listen=given.listen,
        store=given.store,
        n_threads=default_threads(given.cores or usable_cores(), cpu_limit(own_group()))
        if given.threads is None
        else given.threads,
        providers=tuple(given.provider or DEFAULT_PROVIDERS),
        slowdown=given.slowdown,
        optimisation=given.optimisation,
        cores=given.cores,
        tls=_tls_files(given),
        tcp_port=given.tcp_port,
        allow_plaintext=given.allow_plaintext,
        limits=Limits(
            message_bytes=given.max_message,
            disk_bytes=given.quota,
            memory_bytes=given.max_memory,
            n_sessions=given.max_sessions,
            trial_seconds=given.trial_seconds,
            run_seconds=given.run_seconds,
        ),
        without_trials=given.without_trials,
    )
    config.check()
    return Arguments(
        config=config,
        log_format=given.log_format,
        log_level=given.log_level,
        exit_with_stdin=given.exit_with_stdin,
    )


def _tls_files(given: argparse.Namespace) -> TlsFiles | None:
    files = (given.tls_cert, given.tls_key, given.tls_ca)
    if given.pki is not None:
        if any((*files, given.tls_revoked)):
            raise AgentConfigError("--pki names all TLS files: give either it or --tls-cert and the others")
        return TlsFiles.of_node(given.pki)
    if not any((*files, given.tls_revoked)):
        return None
    if not all(files):
        raise AgentConfigError("TLS is mutual here: give all of --tls-cert, --tls-key and --tls-ca, or none")
    certificate, key, authority = files
    return TlsFiles(certificate=certificate, key=key, authority=authority, revoked=given.tls_revoked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m node_agent",
        description="Runs one node of splitfront: it stores shards of models, times them, and serves them as stages.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=splitfront_version())
    parser.add_argument("--name", default=platform.node() or "node", help="name of the node (default: the host's)")
    _add_network(parser)
    _add_device(parser)
    _add_limits(parser)
    _add_process(parser)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument(
        "--listen",
        type=_or_usage(parse_address),
        default=Address(host="127.0.0.1", port=50051),
        metavar="HOST:PORT",
        help="where to listen; port 0 takes a free one (default: 127.0.0.1:50051)",
    )
    group.add_argument(
        "--tcp-port",
        type=_or_usage(parse_tcp_port),
        default=0,
        metavar="PORT",
        help="where the data plane tcp listens, on the host of --listen; the coordinator asks for it, so that only a "
        "firewall needs a fixed one; off: nowhere (default: 0, a free one)",
    )
    group.add_argument(
        "--pki",
        type=Path,
        metavar="DIR",
        help="folder with node.pem, node.key, ca.pem and revoked.pem, for mutual TLS; they may be replaced at any time",
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="instead: certificate of this node, PEM")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    group.add_argument("--tls-ca", type=Path, metavar="FILE", help="authority that signs all certificates, PEM")
    group.add_argument("--tls-revoked", type=Path, metavar="FILE", help="its list of revoked certificates, PEM")
    group.add_argument("--allow-plaintext", action="store_true", help="serve other machines without TLS")


def _add_device(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("device")
    group.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="folder for shards (default: %(default)s)"
    )
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of one stage (default: one for each core, fewer where the system's quota allows less)",
    )
    group.add_argument(
        "--provider",
        action="append",
        metavar="NAME",
        help="execution provider of onnxruntime; repeat it, best first (default: CPUExecutionProvider)",
    )
    group.add_argument(
        "--optimisation",
        choices=OPTIMISATIONS,
        default="all",
        help="how much of a graph the runtime may rewrite; less is slower (default: all)",
    )
    group.add_argument(
        "--cores",
        type=_or_usage(parse_cores),
        default=(),
        metavar="LIST",
        help="processors that the agent may use, such as 0,2-3 (default: all that the system lets it use)",
    )
    group.add_argument(
        "--slowdown",
        type=float,
        default=0.0,
        metavar="FACTOR",
        help="emulate a device so many times slower than this one (default: 0, off)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits", "what others may take of this node; see also --threads and --cores")
    for option, default, words in (
        ("--max-message", _DEFAULTS.message_bytes, "largest message to accept (default: 256MiB)"),
        ("--quota", _DEFAULTS.disk_bytes, "most that the store may hold, such as 2GiB (default: 8GiB)"),
        (
            "--max-memory",
            _DEFAULTS.memory_bytes,
            f"most memory of the agent with all of its shards (default: {100 * MEMORY_SHARE:g} %% of what there is)",
        ),
    ):
        group.add_argument(option, type=_or_usage(parse_bytes), default=default, metavar="BYTES", help=words)
    group.add_argument(
        "--max-sessions",
        type=int,
        default=_DEFAULTS.n_sessions,
        metavar="N",
        help="most shards that may be open at once (default: %(default)s)",
    )
    group.add_argument(
        "--trial-seconds",
        type=float,
        default=_DEFAULTS.trial_seconds,
        metavar="SECONDS",
        help="processor time that a new shard may take to be opened and run once; 1 s more for each 25 MB of it "
        "(default: %(default)g)",
    )
    group.add_argument(
        "--run-seconds",
        type=float,
        default=_DEFAULTS.run_seconds,
        metavar="SECONDS",
        help="most that one request may take in one stage (default: %(default)g)",
    )
    group.add_argument(
        "--without-trials",
        action="store_true",
        help="open new shards without trying them in a limited process first: only where you trust all who send them",
    )


def _add_process(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("process")
    group.add_argument("--exit-with-stdin", action="store_true", help="end when stdin is closed by who started this")
    group.add_argument("--log-format", choices=("text", "json"), default="text", help="form of the log on stderr")
    group.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="least level to log"
    )


def _or_usage(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """`parse` for argparse, which shows a fault with the usage."""

    def parse_word(word: str) -> Value:
        try:
            return parse(word)
        except AgentConfigError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return parse_word
