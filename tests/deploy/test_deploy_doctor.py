import recordings
from deploy_builders import NOTHING, host, machine, system_layout

from deploy.doctor.findings import PROBLEM, WARNING, Facts, findings_of, worst_first
from deploy.doctor.links import parse_link
from deploy.facts.conditions import parse_conditions
from deploy.facts.installed import parse_installed
from deploy.facts.machine import parse_machine
from deploy.facts.network import parse_network
from deploy.inventory import AgentSettings, TlsPolicy


def facts(**changes) -> Facts:
    values = {
        "host": host(),
        "machine": machine(),
        "conditions": parse_conditions(recordings.CALM_CONDITIONS),
        "network": parse_network(recordings.PI_NETWORK.replace("firewall", "nothing").replace("5f1a", "0")),
        "installed": NOTHING,
        "layout": system_layout(),
        "clock_seconds": 0.4,
        "providers": (),
    }
    return Facts(**values | changes)


def told(found: Facts, level: str) -> dict[str, str]:
    return {item.about: f"{item.message} → {item.remedy}" for item in findings_of(found) if item.level == level}


def test_a_pi_in_order_has_nothing_that_stands_in_the_way() -> None:
    assert told(facts(), PROBLEM) == {}
    assert told(facts(), WARNING).keys() == {"shaping"}  # the kernel may lack tbf


def test_every_finding_that_is_not_good_has_a_remedy() -> None:
    bad = facts(
        machine=parse_machine(recordings.PI_OS_32_BIT),
        conditions=parse_conditions(recordings.PI_CONDITIONS),
        network=parse_network(recordings.PI_NETWORK),
        clock_seconds=-4000.0,
    )
    findings = [item for item in findings_of(bad) if not item.is_good]
    assert len(findings) > 8
    assert all(item.remedy for item in findings), findings
    assert worst_first(findings)[0].level == PROBLEM


def test_throttling_now_and_since_the_start_are_told_apart() -> None:
    calm = parse_conditions(recordings.CALM_CONDITIONS.replace("0x0", "0x40000"))
    findings = told(facts(conditions=calm), WARNING)
    assert "since its start" in findings["throttling"]
    now = told(facts(conditions=parse_conditions(recordings.PI_CONDITIONS)), WARNING)
    assert "at this moment the supply voltage is too low" in now["throttling"]
    assert "84 °C" in now["temperature"]
    assert "ondemand" in now["governor"]


def test_a_wrong_clock_stands_in_the_way_of_certificates_only() -> None:
    assert "clock" in told(facts(clock_seconds=500.0), WARNING)
    tls = TlsPolicy(is_mutual=True, allows_plaintext=False)
    secured = host(agent=AgentSettings(name="pi-1", port=50051, is_loopback=False, tls=tls))
    assert "expired" in told(facts(clock_seconds=500.0, host=secured), PROBLEM)["clock"]


def test_a_port_that_somebody_else_has_is_a_problem_and_our_own_is_not() -> None:
    taken = parse_network(recordings.PI_NETWORK + "listens 0.0.0.0:50051\n")
    assert "another program" in told(facts(network=taken), PROBLEM)["ports"]
    ours = parse_installed(recordings.INSTALLED)
    assert told(facts(network=taken, installed=ours), PROBLEM) == {}
    assert "does not listen" in told(facts(installed=ours), PROBLEM)["ports"]


def test_a_firewall_comes_with_the_command_that_opens_it() -> None:
    network = parse_network(recordings.PI_NETWORK)
    assert "sudo ufw allow 50051/tcp" in told(facts(network=network), WARNING)["firewall"]


def test_providers_that_are_missing_and_cards_that_are_not_used() -> None:
    wants = host(agent=AgentSettings(name="a", port=1, is_loopback=False, providers=("CUDAExecutionProvider",)))
    lacking = facts(host=wants, providers=("CPUExecutionProvider",))
    assert "lacks CUDAExecutionProvider" in told(lacking, PROBLEM)["providers"]
    card = parse_conditions(recordings.CALM_CONDITIONS + "device /dev/nvidia0\n")
    assert "gpu: true" in told(facts(conditions=card), WARNING)["providers"]


def test_a_full_disk_and_little_memory() -> None:
    full = machine(free_bytes={"/opt": 10 << 20, "/var": 8 << 30}, available_bytes=100 << 20)
    assert "free 600 MiB" in told(facts(machine=full), PROBLEM)["disk"]
    assert "memory" in told(facts(machine=full), WARNING)


def test_figures_of_links() -> None:
    figures = parse_link("trip 0.0005\nrate 117e6\n")
    assert figures is not None
    assert (figures.round_trip_seconds, figures.bytes_per_second) == (0.0005, 117e6)
    assert parse_link("Traceback\nConnectionRefusedError") is None
