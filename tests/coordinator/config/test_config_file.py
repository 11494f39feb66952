import re
from pathlib import Path

import pytest

from coordinator.config import ClusterConfig, cluster_json_schema, load_cluster, parse_cluster
from coordinator.errors import ConfigError, CoordinatorError
from node_agent.config import OPTIMISATIONS
from node_agent.dataplane.planes import PLANES
from node_agent.messages import LinkEmulation

LOCAL = {"name": "pi-1", "local": True}


def faults_of(text: str, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_cluster(path)
    assert str(path) in str(caught.value)
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return caught.value.faults


def fault_of(content: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_cluster(content)
    assert len(caught.value.faults) == 1, caught.value.faults
    return caught.value.faults[0]


def cluster_of(*nodes: dict[str, object], **more: object) -> dict[str, object]:
    return {"name": "kitchen", "nodes": list(nodes), **more}


def test_a_whole_file_is_read_into_si_units(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("""
name: kitchen
nodes:
  - {name: pi-1, local: true, memory: 512MiB, threads: 1, emulate: {slowdown: 8}, providers: [CPUExecutionProvider]}
  - {name: pi-2, local: true, memory: 4 GB, idle_watts: 2.7, active_watts: 6}
  - {name: box, address: "127.0.0.1:50051"}
links:
  default: {delay: 5ms, rate: 50mbit}
  between:
    - {from: pi-1, to: pi-2, delay: 500us, jitter: 0.1ms, rate: 6.25MB/s, loss: 0.1%}
client: {name: camera}
""")
    config = load_cluster(path)
    first, second, box = config.nodes
    assert (first.memory_bytes, first.threads, first.emulate.slowdown) == (512 * 2**20, 1, 8.0)
    assert first.providers == ("CPUExecutionProvider",)
    assert (second.memory_bytes, second.idle_watts, second.active_watts) == (4 * 10**9, 2.7, 6.0)
    assert (box.address, box.local, box.memory_bytes) == ("127.0.0.1:50051", False, None)
    link = config.links.between[0]
    assert (link.delay_seconds, link.jitter_seconds, link.bytes_per_second, link.loss) == pytest.approx(
        (0.0005, 0.0001, 6.25e6, 0.001)
    )
    assert config.links.default.bytes_per_second == 6.25e6
    assert config.client.name == "camera"
    assert hash(config.nodes[0]) == hash(first)
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"


def test_five_faults_are_reported_at_once_with_path_and_line(tmp_path: Path) -> None:
    faults = faults_of(
        """
name: kitchen
nodes:
  - name: pi-1
    local: true
    memory: 512 Mob
    thread: 4
  - name: pi-1
    local: true
links:
  default: {rate: 50 mbot}
  between:
    - {from: pi-1, to: sever, delay: 5ms}
""",
        tmp_path,
    )
    assert faults == (
        "nodes[0].memory (line 6): '512 Mob' is not a size: write 512MiB or 4GB",
        "nodes[0].thread (line 7): is not known here: did you mean 'threads'?",
        "nodes[1].name (line 8): 'pi-1' is already that of nodes[0]: choose another",
        "links.default.rate (line 11): '50 mbot' is not a rate: write 50mbit or 6MB/s",
        "links.between[0].to (line 13): there is no node 'sever': known are client, pi-1",
    )


def test_faults_of_limited_nodes_have_their_lines(tmp_path: Path) -> None:
    faults = faults_of(
        """
name: kitchen
nodes:
  - name: pi-1
    local: true
    cores: [1]
    cpu_quota: 1.5
    optimisation: fast
  - name: box
    address: 127.0.0.1:50051
    cores: 0,2
    cpu_quota: 0.01
    optimisation: basic
""",
        tmp_path,
    )
    assert [fault.partition(": ")[0] for fault in faults] == [
        "nodes[0].cpu_quota (line 7)",
        "nodes[0].optimisation (line 8)",
        "nodes[1].cores (line 11)",
        "nodes[1].cpu_quota (line 12)",
        "nodes[1].cpu_quota (line 12)",
        "nodes[1].optimisation (line 13)",
    ]


@pytest.mark.parametrize(
    ("written", "cores"),
    [("[2, 0, 2]", (0, 2)), ("0,2-3", (0, 2, 3)), ("'1'", (1,)), ("2-3", (2, 3)), ("[0]", (0,))],
)
def test_cores_are_a_list_or_ranges(written: str, cores: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(f"name: a\nnodes: [{{name: b, local: true, cores: {written}}}]\n")
    if "," in written and not written.startswith("["):  # a comma ends a value between braces
        path.write_text(f"name: a\nnodes:\n  - name: b\n    local: true\n    cores: {written}\n")
    assert load_cluster(path).nodes[0].cores == cores


def test_a_key_written_twice_is_a_fault(tmp_path: Path) -> None:
    faults = faults_of("name: a\nnodes: [{name: b, local: true}]\nname: c\n", tmp_path)
    assert faults == ("name (line 1): is written again in line 3: keep one",)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (None, "the file: wanted a mapping (key: value), got nothing"),
        ([1], "the file: wanted a mapping (key: value), got a list"),
        ({"nodes": [LOCAL]}, "name: is missing"),
        ({"name": "a", "nodes": []}, "nodes: is an empty list: wanted at least one entry"),
        ({"name": "a", "nodes": "pi-1"}, "nodes: wanted a list, got text"),
        ({"name": "a", "nodes": ["pi-1"]}, "nodes[0]: wanted a mapping (key: value), got text"),
        (cluster_of(LOCAL | {"threads": "four"}), "nodes[0].threads: wanted a whole number, got text"),
        (cluster_of(LOCAL | {"threads": True}), "nodes[0].threads: wanted a whole number, got true or false"),
        (cluster_of({"name": "no such name", "local": True}), "nodes[0].name: 'no such name' is not a name: wanted"),
        (cluster_of({"name": "client", "local": True}), "nodes[0].name: 'client' means the end that sends inputs"),
        (cluster_of({"name": "a"}), "nodes[0]: says nowhere where it is: wanted the address (host:port)"),
        (cluster_of(LOCAL | {"address": "127.0.0.1:1"}), "nodes[0]: has both an address and local: true: keep one"),
        (cluster_of({"name": "a", "address": "pi-1"}), "nodes[0].address: wanted host:port, like 192.168.1.11:50051"),
        (cluster_of({"name": "a", "address": "pi-1:70000"}), "nodes[0].address: wanted host:port"),
        (cluster_of({"name": "a", "address": "0.0.0.0:50051"}), "nodes[0].address: 0.0.0.0 is where a node listens"),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1"}, {"name": "b", "address": "127.0.0.1:1"}),
            "nodes[1].address: '127.0.0.1:1' is already that of nodes[0]",
        ),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1", "emulate": {"slowdown": 2}}),
            "nodes[0].emulate: is for nodes with local: true",
        ),
        (cluster_of(LOCAL | {"emulate": {"slowdown": 0.5}}), "nodes[0].emulate.slowdown: input should be greater"),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1", "cores": "0-1"}),
            "nodes[0].cores: is for nodes with local: true; an agent of your own is started with --cores",
        ),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1", "optimisation": "basic"}),
            "nodes[0].optimisation: is for nodes with local: true; an agent of your own is started with --optimisation",
        ),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1", "cpu_quota": 0.4}),
            "nodes[0].cpu_quota: is for nodes with local: true; an agent of your own is held by its service",
        ),
        (cluster_of(LOCAL | {"cpu_quota": 0.04}), "nodes[0].cpu_quota: input should be greater than or equal to 0.05"),
        (cluster_of(LOCAL | {"cpu_quota": 2000}), "nodes[0].cpu_quota: input should be less than or equal to 1024"),
        (cluster_of(LOCAL | {"cpu_quota": float("nan")}), "nodes[0].cpu_quota: input should be"),
        (cluster_of(LOCAL | {"cpu_quota": "40 %"}), "nodes[0].cpu_quota: wanted a number, got text"),
        (cluster_of(LOCAL | {"cpu_quota": True}), "nodes[0].cpu_quota: wanted a number, got true or false"),
        (
            cluster_of(LOCAL | {"cpu_quota": 2.5, "cores": "0,2"}),
            "nodes[0].cpu_quota: 2.5 is more than the 2 of cores: it would limit nothing",
        ),
        (cluster_of(LOCAL | {"cores": 2}), "nodes[0].cores: 2 may be a number or a count: write [2] for processor 2"),
        (cluster_of(LOCAL | {"cores": "0;2"}), "nodes[0].cores: '0;2' names no processors: write [0, 2] or 0,2-3"),
        (cluster_of(LOCAL | {"cores": "3-1"}), "nodes[0].cores: '3-1' names no processors: write [0, 2] or 0,2-3"),
        *(
            (cluster_of(LOCAL | {"cores": cores}), "nodes[0].cores: wanted processors from 0 to 4095: write [0, 2] or")
            for cores in ([], [True], [-1], [4096], [0, "1"], {"0": 1}, True, 1.5)
        ),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1", "limits": {"trial": "60s"}}),
            "nodes[0].limits: is for nodes with local: true; an agent of your own is started with --trial-seconds, "
            "--run-seconds and --quota",
        ),
        (
            cluster_of(LOCAL | {"limits": {"run": "100ms"}}),
            "nodes[0].limits.run: input should be greater than or equal to 1",
        ),
        (
            cluster_of(LOCAL | {"optimisation": "most"}),
            "nodes[0].optimisation: input should be 'none', 'basic', 'extended' or 'all'",
        ),
        (cluster_of(LOCAL | {"idle_watts": 5, "active_watts": 2}), "nodes[0].idle_watts: 5 is more than active_watts"),
        (
            cluster_of(LOCAL, links={"default": {"dealy": "5ms"}}),
            "links.default.dealy: is not known here: did you mean",
        ),
        (cluster_of(LOCAL, links={"default": {"delay": 5}}), "links.default.delay: 5 is not a duration with its unit"),
        (
            cluster_of(LOCAL, links={"between": [{"from": "pi-1", "to": "pi-1", "delay": "1ms"}]}),
            "links.between[0]: leads from 'pi-1' to itself",
        ),
        (
            cluster_of(LOCAL, links={"between": [{"from": "pi-1", "to": "client"}]}),
            "links.between[0]: says nothing: wanted delay, jitter, rate, loss, data_plane or forbidden",
        ),
        (
            cluster_of(LOCAL, links={"between": [{"from": "pi-1", "to": "client", "delay": "1ms", "forbidden": True}]}),
            "links.between[0]: is forbidden, so that delay would mean nothing",
        ),
        (
            cluster_of(
                {"name": "a", "address": "127.0.0.1:1"},
                links={"between": [{"from": "a", "to": "client", "delay": "1ms"}]},
            ),
            "links.between[0].delay: 'a' is not local, so that the link is probed, not emulated",
        ),
        (
            cluster_of({"name": "a", "address": "127.0.0.1:1"}, links={"default": {"delay": "1ms"}}),
            "links.default: no node is local",
        ),
        (
            cluster_of(
                LOCAL,
                links={
                    "between": [
                        {"from": "pi-1", "to": "client", "delay": "1ms"},
                        {"from": "client", "to": "pi-1", "delay": "2ms", "both": False},
                    ]
                },
            ),
            "links.between[1]: 'client' and 'pi-1' are already linked by links.between[0]",
        ),
        (
            cluster_of({"name": "a", "address": "192.168.1.3:50051"}),
            "security: is missing: 'a' at 192.168.1.3:50051 is not on loopback: wanted pki",
        ),
        (
            cluster_of(LOCAL, {"name": "a", "address": "pi.local:50051"}, security={"plaintext": True}),
            "nodes[1].address: cannot reach the nodes with local: true",
        ),
        (cluster_of(LOCAL, security={"plaintext": False}), "security: forbids plaintext but names no tls"),
    ],
)
def test_each_fault_says_where_and_what_was_wanted(content: object, wanted: str) -> None:
    assert fault_of(content).startswith(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("nodes: [", "it is not YAML: "),
        ("a: b: c", "it is not YAML: mapping values are not allowed here, line 1, column 5"),
        ("name: !!python/object/apply:os.system [true]", "it is not YAML: could not determine a constructor"),
        ("", "the file: wanted a mapping (key: value), got nothing"),
        ("name: 2026-02-30", "it is not YAML: '2026-02-30' is no timestamp, line 1, column 7"),
        ("name: a\nnodes: [!!bool foo]", "it is not YAML: 'foo' is no bool, line 2, column 9"),
        (f"name: {'9' * 5000}", f"it is not YAML: '{'9' * 40}' is no int, line 1, column 7"),
        ("name: !!int ''", "it is not YAML: '' is no int, line 1, column 7"),
        ("--- {}\n--- {}", "it is not YAML: but found another document"),
        ("[" * 5000, "it is not YAML: it is nested too deeply"),
    ],
)
def test_files_that_hold_no_cluster_are_named(text: str, wanted: str, tmp_path: Path) -> None:
    assert faults_of(text, tmp_path)[0].startswith(wanted)


def test_a_file_that_refers_to_itself_ends(tmp_path: Path) -> None:
    assert faults_of("name: a\nnodes: &n [*n, {name: b, local: true}]\n", tmp_path)


def test_missing_and_unreadable_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: `splitfront init` writes an example"):
        load_cluster(tmp_path / "cluster.yaml")
    with pytest.raises(CoordinatorError, match="cannot be read: Is a directory"):
        load_cluster(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match="wanted YAML in UTF-8"):
        load_cluster(tmp_path / "latin.yaml")


def test_nothing_that_may_be_a_secret_is_repeated(tmp_path: Path) -> None:
    faults = faults_of(
        """
name: a
nodes:
  - {name: b, address: "root:hunter2@192.168.1.3:22", password: hunter2}
security:
  plaintext: hunter2
  tls: {cert: [hunter2], key: "-----BEGIN hunter2", ca: {x: hunter2}}
""",
        tmp_path,
    )
    assert len(faults) == 6
    assert "hunter2" not in " ".join(faults)


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"plaintext": True, "pki": "p"}, "security: has both pki and plaintext: true: keep one"),
        ({"pki": "p", "tls": {"cert": "c"}}, "security: has both pki and tls: keep one, pki names all files"),
    ],
)
def test_there_is_one_way_to_speak(security: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_cluster(cluster_of(LOCAL, security=security))
    assert said in caught.value.faults


def test_a_folder_of_splitfront_pki_stands_for_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    folder.mkdir()
    path = tmp_path / "cluster.yaml"
    path.write_text("name: lab\nnodes:\n  - {name: a, address: '10.0.0.1:1'}\nsecurity: {pki: pki}\n")
    with pytest.raises(ConfigError, match=r"security.pki \(line 4\): there is no readable coordinator.pem"):
        load_cluster(path)
    for name in ("coordinator.pem", "coordinator.key", "ca.pem", "revoked.pem"):
        (folder / name).write_text("")
    files = load_cluster(path).security.files
    assert files is not None
    expected = (folder / "coordinator.pem", folder / "coordinator.key", folder / "ca.pem", folder / "revoked.pem")
    assert (files.cert, files.key, files.ca, files.revoked) == expected


def test_tls_files_lie_beside_the_file(tmp_path: Path) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / f"{name}.pem").touch()
    path = tmp_path / "cluster.yaml"
    path.write_text("""
name: a
nodes: [{name: b, address: "192.168.1.3:50051"}]
security: {tls: {cert: cert.pem, key: key.pem, ca: ca.pem}}
""")
    tls = load_cluster(path).security.tls
    assert tls is not None
    assert (tls.cert, tls.key, tls.ca) == tuple(tmp_path / f"{name}.pem" for name in ("cert", "key", "ca"))
    (tmp_path / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"security.tls.key \(line 4\): there is no readable file"):
        load_cluster(path)


@pytest.fixture
def three() -> ClusterConfig:
    between = [
        {"from": "client", "to": "pi-1", "delay": "2ms"},
        {"from": "pi-1", "to": "pi-2", "both": False, "rate": "unlimited", "loss": "1%", "jitter": "1ms"},
        {"from": "pi-2", "to": "pi-1", "both": False, "forbidden": True},
        {"from": "box", "to": "pi-1", "forbidden": True},
    ]
    return parse_cluster(
        cluster_of(
            LOCAL,
            {"name": "pi-2", "local": True},
            {"name": "box", "address": "127.0.0.1:50051"},
            links={"default": {"delay": "5ms", "rate": "80mbit"}, "between": between},
        )
    )


def shape(link: LinkEmulation | None) -> tuple[float, ...]:
    assert link is not None
    return (link.delay_seconds, link.jitter_seconds, link.bytes_per_second, link.loss)


def test_links_take_what_they_do_not_say_from_the_default(three: ClusterConfig) -> None:
    assert shape(three.link_emulation("client", "pi-2")) == (0.005, 0, 1e7, 0)
    assert shape(three.link_emulation("client", "pi-1")) == (0.002, 0, 1e7, 0)
    assert shape(three.link_emulation("pi-1", "client")) == (0.002, 0, 1e7, 0)
    assert shape(three.link_emulation("pi-1", "pi-2")) == (0.005, 0.001, 0, 0.01)


def test_only_links_between_local_ends_are_emulated(three: ClusterConfig) -> None:
    assert three.link_emulation("pi-1", "box") is None
    assert three.link_emulation("box", "client") is None
    assert three.link_emulation("pi-1", "pi-1") is None
    assert parse_cluster(cluster_of(LOCAL)).link_emulation("client", "pi-1") is None
    with pytest.raises(KeyError):
        three.link_emulation("pi-9", "client")


def test_each_direction_of_a_link_has_a_seed_of_its_own_that_stays(three: ClusterConfig) -> None:
    there, back = three.link_emulation("client", "pi-1"), three.link_emulation("pi-1", "client")
    assert there is not None
    assert back is not None
    assert there.seed != back.seed
    assert there == three.link_emulation("client", "pi-1")
    assert there.seed == 1618594657


def test_links_may_be_forbidden_in_one_direction_or_both(three: ClusterConfig) -> None:
    assert not three.is_forbidden("pi-1", "pi-2")
    assert three.is_forbidden("pi-2", "pi-1")
    assert three.is_forbidden("pi-1", "box")
    assert three.is_forbidden("box", "pi-1")


def test_a_data_plane_is_chosen_for_the_cluster_and_for_single_links() -> None:
    nodes = ({"name": "a", "local": True}, {"name": "b", "address": "127.0.0.1:1"}, {"name": "c", "local": True})
    plain = parse_cluster(cluster_of(*nodes))
    assert {plain.plane_of("a", "b"), plain.plane_of("client", "a")} == {"grpc"}
    assert plain.planes_at("a") == {"grpc"}
    between = [
        {"from": "a", "to": "b", "data_plane": "grpc"},
        {"from": "client", "to": "b", "both": False, "data_plane": "grpc"},
        {"from": "c", "to": "b", "forbidden": True},
        {"from": "a", "to": "c", "delay": "1ms"},
    ]
    mixed = parse_cluster(cluster_of(*nodes, data_plane="tcp", links={"between": between}))
    assert {mixed.plane_of("a", "b"), mixed.plane_of("b", "a"), mixed.plane_of("client", "b")} == {"grpc"}
    assert {mixed.plane_of("b", "client"), mixed.plane_of("a", "c"), mixed.plane_of("client", "a")} == {"tcp"}
    assert (mixed.planes_at("a"), mixed.planes_at("b")) == ({"grpc", "tcp"}, {"grpc", "tcp"})
    assert mixed.planes_at("c") == {"tcp"}


def test_faults_of_data_planes_are_named_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        """
name: kitchen
data_plane: carrier-pigeon
nodes:
  - {name: a, local: true}
  - {name: b, local: true}
links:
  between:
    - {from: a, to: b, forbidden: true, data_plane: tcp}
    - {from: client, to: a, data_plane: udp}
""",
        tmp_path,
    )
    assert [fault.split(":")[0] for fault in faults] == [
        "data_plane (line 3)",
        "links.between[0] (line 9)",
        "links.between[1].data_plane (line 10)",
    ]
    assert all(f"'{plane}'" in fault for fault in (faults[0], faults[2]) for plane in PLANES)
    assert "is forbidden, so that data_plane would mean nothing" in faults[1]


def test_emulation_is_told_in_words(three: ClusterConfig) -> None:
    assert three.describe_link("pi-1", "pi-2") == "delay 5 ms ± 1 ms, loss 1 %, by the sender"
    assert three.describe_link("client", "pi-2") == "delay 5 ms, 80 Mbit/s, by the sender"
    assert three.describe_link("client", "box") is None
    slow = parse_cluster(cluster_of(LOCAL | {"emulate": {"slowdown": 8.5}})).nodes[0]
    assert slow.describe_emulation() == "8.5 times slower than this machine, by waiting"
    assert three.nodes[0].describe_emulation() is None
    for quota, words in ((0.4, "40 % of a core"), (1, "1 core"), (1.5, "1.5 cores")):
        limited = parse_cluster(cluster_of(LOCAL | {"cpu_quota": quota})).nodes[0]
        assert limited.describe_emulation() == f"{words}, by the system's quota"
    both = parse_cluster(cluster_of(LOCAL | {"emulate": {"slowdown": 2}, "cpu_quota": 0.5})).nodes[0]
    assert both.describe_emulation() == (
        "2 times slower than this machine, by waiting; 50 % of a core, by the system's quota"
    )
    configured = parse_cluster(cluster_of(LOCAL | {"cores": [0], "optimisation": "basic"})).nodes[0]
    assert configured.describe_emulation() is None


def test_the_schema_knows_every_key_and_its_form() -> None:
    schema = cluster_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "nodes"}
    node = schema["$defs"]["NodeConfig"]["properties"]
    assert {"name", "address", "local", "memory", "threads", "providers", "emulate"} <= set(node)
    assert "emulate" in node["memory"]["description"] or "weights" in node["memory"]["description"]
    memory = next(form for form in node["memory"]["anyOf"] if form.get("type") == "string")
    assert re.fullmatch(memory["pattern"], "512MiB")
    assert not re.fullmatch(memory["pattern"], "512 Mob")
    assert {"cores", "cpu_quota", "optimisation"} <= set(node)
    quota = next(form for form in node["cpu_quota"]["anyOf"] if form.get("type") == "number")
    assert (quota["minimum"], quota["maximum"]) == (0.05, 1024)
    level = next(form for form in node["optimisation"]["anyOf"] if form.get("type") == "string")
    assert level["enum"] == list(OPTIMISATIONS)
    ranges = next(form for form in node["cores"]["anyOf"] if form.get("type") == "string")
    for text in ("0", "0,2-3", "0-1, 4"):
        assert re.fullmatch(ranges["pattern"], text)
    for text in ("", "0;1", "a", "1-"):
        assert not re.fullmatch(ranges["pattern"], text)
    link = schema["$defs"]["LinkConfig"]["properties"]
    assert {"from", "to", "both", "forbidden", "delay", "jitter", "rate", "loss", "data_plane", "emulated"} == set(link)
    assert schema["properties"]["data_plane"]["enum"] == list(PLANES)


def test_a_medium_has_all_links_of_its_nodes_and_single_ones() -> None:
    nodes = [LOCAL, {"name": "pi-2", "local": True}, {"name": "box", "local": True}]
    media = [
        {"name": "wifi", "nodes": ["pi-1"]},
        {"name": "line", "links": [{"from": "client", "to": "box"}, {"from": "pi-2", "to": "box", "both": False}]},
    ]
    wifi, line = parse_cluster(cluster_of(*nodes, media=media)).shared_media
    others = ("client", "pi-2", "box")
    assert set(wifi.links) == {(one, "pi-1") for one in others} | {("pi-1", other) for other in others}
    assert set(line.links) == {("client", "box"), ("box", "client"), ("pi-2", "box")}
    assert parse_cluster(cluster_of(*nodes)).shared_media == ()


def test_faults_of_media_are_named_at_once(tmp_path: Path) -> None:
    faults = faults_of(
        """
name: kitchen
nodes:
  - {name: pi-1, local: true}
media:
  - {name: wifi, nodes: [pi-1, pi-x]}
  - {name: wifi}
  - {name: line, links: [{from: pi-1, to: pi-1}, {from: pi-1, to: cliemt, rate: 5mbit}]}
""",
        tmp_path,
    )
    assert faults == (
        "media[0].nodes[1] (line 6): there is no node 'pi-x': did you mean 'pi-1'?",
        "media[1] (line 7): says nothing: wanted the nodes or the links that share it",
        "media[1].name (line 7): 'wifi' is already that of media[0]: choose another",
        "media[2].links[0] (line 8): leads from 'pi-1' to itself: no medium is crossed",
        "media[2].links[1].rate (line 8): is not known here: known are both, from, to",
        "media[2].links[1].to (line 8): there is no node 'cliemt': did you mean 'client'?",
    )
