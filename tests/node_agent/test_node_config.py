import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
from node_shards import matmul_shard, spec

from node_agent.arguments import parse_arguments
from node_agent.config import Address, AgentConfig, TlsFiles, parse_address, parse_bytes
from node_agent.errors import AgentConfigError, RequestRejectedError
from node_agent.host import facts, request_rules
from node_agent.host.control_group import cpu_limit, own_group
from node_agent.host.processors import default_threads, usable_cores
from node_agent.limits import Limits
from node_agent.log import JsonFormatter, TextFormatter
from node_agent.messages import CodingPace, LinkEmulation, NextHop, ProbeRequest, ProfileRequest, ProfileSegment


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("0", 0), ("1048576", 1 << 20), ("2GiB", 2 << 30), ("1.5 MiB", 3 << 19), ("500MB", 500_000_000), ("7kB", 7000)],
)
def test_sizes_are_read(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GiB", "-1", "2 gallons", "1e9", "2Gib"])
def test_what_is_no_size_says_what_is(text):
    with pytest.raises(AgentConfigError, match="such as 2GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", Address(host="127.0.0.1", port=50051)),
        ("pi-1.local:0", Address(host="pi-1.local", port=0)),
        ("[::1]:5", Address(host="::1", port=5)),
    ],
)
def test_addresses_are_read_and_written(text, address):
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", ":5", "host", "host:", "host:x", "host:65536", "::1:5", "[::1]", "[host]:5", "h:²"]
)
def test_what_is_no_address_says_what_is(text):
    with pytest.raises(AgentConfigError, match="want HOST:PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("pi", False)],
)
def test_loopback_is_what_stays_on_this_machine(host, is_loopback):
    assert Address(host=host, port=1).is_loopback is is_loopback


def test_all_faults_of_a_configuration_are_named():
    config = AgentConfig(
        name="",
        store=Path("s"),
        listen=Address(host="0.0.0.0", port=1),
        n_threads=0,
        slowdown=0.5,
        optimisation="most",
        limits=Limits(
            message_bytes=1, disk_bytes=1, memory_bytes=1, n_sessions=0, trial_seconds=0, run_seconds=math.inf
        ),
    )
    with pytest.raises(AgentConfigError) as found:
        config.check()
    for words in (
        "name",
        "quota",
        "threads",
        "slowdown",
        "optimisation must be none, basic, extended, all, got 'most'",
        "message",
        "--max-memory must be at least 64MiB, or 0 for a share, got 1 bytes",
        "--max-sessions must be 1 or more, got 0",
        "--trial-seconds must be 1 or more, got 0",
        "--run-seconds must be 1 or more, got inf",
        "--allow-plaintext",
    ):
        assert words in str(found.value)


def test_the_command_line_becomes_a_configuration(tmp_path):
    words = f"--listen 0.0.0.0:7 --name n --store {tmp_path} --quota 2GiB --threads 3 --provider A --provider B"
    words += " --optimisation basic --cores 3,0-1"
    more = "--slowdown 4 --allow-plaintext --max-message 8MiB --log-format json --log-level debug --exit-with-stdin"
    limits = "--max-memory 1GiB --max-sessions 7 --trial-seconds 2.5 --run-seconds 9 --without-trials"
    arguments = parse_arguments(f"{words} {more} {limits}".split())
    assert arguments.config == AgentConfig(
        name="n",
        store=tmp_path,
        listen=Address(host="0.0.0.0", port=7),
        n_threads=3,
        providers=("A", "B"),
        slowdown=4.0,
        optimisation="basic",
        cores=(0, 1, 3),
        allow_plaintext=True,
        limits=Limits(
            message_bytes=8 << 20,
            disk_bytes=2 << 30,
            memory_bytes=1 << 30,
            n_sessions=7,
            trial_seconds=2.5,
            run_seconds=9,
        ),
        without_trials=True,
    )
    assert (arguments.log_format, arguments.log_level, arguments.exit_with_stdin) == ("json", "debug", True)


def test_tls_files_come_together():
    for word in ("--tls-cert", "--tls-revoked"):
        with pytest.raises(AgentConfigError, match="all of --tls-cert, --tls-key and --tls-ca"):
            parse_arguments([word, "a.pem"])
    with pytest.raises(AgentConfigError, match="--pki names all TLS files"):
        parse_arguments(["--pki", "p", "--tls-ca", "ca.pem"])


def test_a_folder_stands_for_all_tls_files():
    files = parse_arguments(["--pki", "/p"]).config.tls
    assert files == TlsFiles.of_node(Path("/p"))
    words = ["--tls-cert", "/p/node.pem", "--tls-key", "/p/node.key", "--tls-ca", "/p/ca.pem"]
    assert parse_arguments([*words, "--tls-revoked", "/p/revoked.pem"]).config.tls == files
    assert parse_arguments(words).config.tls == replace(files, revoked=None)


def test_threads_follow_the_cores_unless_they_are_told():
    assert parse_arguments(["--cores", "0-6"]).config.n_threads == default_threads(range(7), cpu_limit(own_group()))
    assert parse_arguments([]).config.n_threads == default_threads(usable_cores(), cpu_limit(own_group()))
    assert parse_arguments(["--cores", "0-6", "--threads", "3"]).config.n_threads == 3


@pytest.mark.parametrize("words", [["--cores", "all"], ["--optimisation", "most"]])
def test_cores_and_levels_that_are_none_are_shown_with_the_usage(words, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(words)
    assert f"argument {words[0]}" in capsys.readouterr().err


def test_a_wrong_word_is_shown_with_the_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--quota", "much"])
    assert ended.value.code == 2
    assert "'much' is no size" in capsys.readouterr().err


def test_log_lines_carry_their_fields():
    record = logging.makeLogRecord({"msg": "stage %s", "args": ("loaded",), "levelname": "INFO", "deployment": "d"})
    assert TextFormatter().format(record).endswith("INFO stage loaded deployment=d")
    assert '"event": "stage loaded", "deployment": "d"' in JsonFormatter().format(record)
    error = ValueError("why")
    record.exc_info = (ValueError, error, None)
    assert "ValueError: why" in TextFormatter().format(record)
    assert "\n" not in JsonFormatter().format(record)


def test_no_runtime_and_two_runtimes_are_told_apart(monkeypatch):
    monkeypatch.setattr(facts, "version_of", lambda name: "1.2" if name in ("onnxruntime", "onnxruntime-gpu") else None)
    with pytest.raises(AgentConfigError, match=r"onnxruntime 1.2 and onnxruntime-gpu 1.2 are installed together"):
        facts.runtime_version()
    monkeypatch.setattr(facts, "version_of", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AgentConfigError, match="No onnxruntime is installed"):
        facts.runtime_version()


def test_facts_of_this_machine_make_sense():
    assert facts.cpu_name()
    assert facts.host_id() == facts.host_id()
    assert len(facts.host_id()) == 16
    assert 0 < facts.resident_bytes() < facts.memory_bytes()


def test_all_faults_of_an_order_are_named():
    load = matmul_shard().load(
        deployment="",
        stage=3,
        n_stages=2,
        next_address="nowhere",
        pace_seconds=-1.0,
        queue_limit=0,
        sends=(spec("y", (1,)), spec("y", (1,)), spec("t", (1,), "str")),
        link=LinkEmulation(loss=2),
    )
    with pytest.raises(RequestRejectedError) as found:
        request_rules.check_load(load)
    for words in ("needs a name", "none of 2", "'nowhere'", "pace", "queue_limit", "'y' is named twice", "'t'", "loss"):
        assert words in str(found.value)


def test_only_the_last_stage_has_no_next_address():
    shard = matmul_shard()
    request_rules.check_load(shard.load())
    request_rules.check_load(shard.load(n_stages=2, next_address="a:1"))
    for changes in ({"next_address": "a:1"}, {"n_stages": 2}):
        with pytest.raises(RequestRejectedError):
            request_rules.check_load(shard.load(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codec": "int8"}, "the last stage sends as it is, got the codec 'int8'"),
        ({"next_hops": (NextHop(address="a:1"),)}, "the last stage has no next address, got 'a:1'"),
        ({"n_stages": 2, "next_address": "a:1", "next_hops": (NextHop(address="b:1"),)}, "beside 1 next hops"),
        ({"n_stages": 2, "next_hops": (NextHop(address="a:1"), NextHop(address="nowhere"))}, "'nowhere'"),
        ({"n_stages": 2, "next_hops": (NextHop(address="a:1", link=LinkEmulation(loss=2)),)}, "loss"),
        ({"n_stages": 2, "next_hops": 65 * (NextHop(address="a:1"),)}, "65 next hops: at most 64"),
        ({"coding_pace": CodingPace(decode_seconds=-1.0, encode_seconds=math.inf)}, "decode_seconds.*encode_seconds"),
    ],
)
def test_orders_with_codecs_and_several_next_nodes_make_sense_or_are_refused(changes, words):
    shard = matmul_shard()
    hops = (NextHop(address="a:1"), NextHop(address="b:1", link=LinkEmulation(delay_seconds=0.1)))
    request_rules.check_load(shard.load(n_stages=2, next_hops=hops, codec="int8"))
    with pytest.raises(RequestRejectedError, match=words):
        request_rules.check_load(shard.load(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segments": ()}, "no segments"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"budget_seconds": 0.0}, "budget_seconds"),
        ({"budget_seconds": float("nan")}, "budget_seconds"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"tolerance": 1.0}, "tolerance"),
    ],
)
def test_faults_of_a_profile_are_named(changes, words):
    segments = (ProfileSegment(name="s", shard=matmul_shard().ref),)
    good = {"segments": segments, "n_rounds": 1, "budget_seconds": 1.0, "seed": 0}
    request_rules.check_profile(ProfileRequest(**good))
    with pytest.raises(RequestRejectedError, match=words):
        request_rules.check_profile(ProfileRequest(**good | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target_address": "x"}, "no address"),
        ({"sizes_bytes": ()}, "rounds × sizes"),
        ({"n_rounds": 10**9}, "rounds × sizes"),
        ({"sizes_bytes": (101,)}, "101 bytes is outside 0 to 100"),
        ({"link_back": LinkEmulation(delay_seconds=-1)}, "delay_seconds"),
    ],
)
def test_faults_of_a_probe_are_named(changes, words):
    good = {"target_address": "a:1", "link": None, "link_back": None, "sizes_bytes": (1,), "n_rounds": 1}
    request_rules.check_probe(ProbeRequest(**good), 100)
    with pytest.raises(RequestRejectedError, match=words):
        request_rules.check_probe(ProbeRequest(**good | changes), 100)
