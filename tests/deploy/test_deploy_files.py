"""Other ways to run a node, as far as they can be checked without a container engine."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

FILES = Path(__file__).parents[2] / "deploy" / "files"
DOCKERFILES = sorted(FILES.glob("*.Dockerfile"))
MANIFESTS = sorted((FILES / "kubernetes").glob("*.yaml"))


def load(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def manifest(kind: str):
    return [content for path in MANIFESTS if (content := load(path))["kind"] == kind]


def pods():
    return [(content["metadata"]["name"], content["spec"]["template"]["spec"]) for content in manifest("DaemonSet")]


def instructions(path: Path) -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_images_run_as_a_number_that_is_not_root_and_hold_no_build_tools(path) -> None:
    steps = instructions(path)
    last = max(number for number, (name, _) in enumerate(steps) if name == "FROM")
    final = steps[last:]
    users = [value for name, value in final if name == "USER"]
    assert users == ["10001:10001"]
    assert all("pip install" not in value for _, value in final)
    assert {name for name, _ in steps} <= {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert all(":" in value.split()[0] for name, value in steps if name == "FROM"), "images are named with a version"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_images_copy_from_the_repository_is_there(path) -> None:
    root = FILES.parents[1]
    for name, value in instructions(path):
        if name == "COPY" and not value.startswith("--from"):
            assert all((root / source).exists() for source in value.split()[:-1])


@pytest.mark.parametrize(("name", "extras"), [("agent", "node,compression"), ("agent-gpu", "node-gpu,gpu,compression")])
def test_agents_images_install_what_the_installer_sends(name, extras) -> None:
    from deploy import wheels

    assert f"'.[{extras}]'" in (FILES / f"{name}.Dockerfile").read_text()
    assert extras in {",".join(wheels.CPU_EXTRAS), ",".join(wheels.GPU_EXTRAS)}


def test_the_command_lines_of_the_images_are_understood_by_the_agent() -> None:
    import json

    from node_agent.arguments import parse_arguments

    for path in (FILES / "agent.Dockerfile", FILES / "agent-gpu.Dockerfile"):
        last = dict(instructions(path))
        words = json.loads(last["ENTRYPOINT"]) + json.loads(last["CMD"])
        config = parse_arguments(words[words.index("node_agent") + 1 :]).config
        assert (str(config.listen), config.tcp_port) == ("0.0.0.0:50051", 50052)
        assert config.tls is not None


def test_compose_services_are_confined() -> None:
    content = load(FILES / "compose.yaml")
    for name, service in content["services"].items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert "ports" not in service, "nothing is published to other machines"
        assert (FILES.parents[1] / service["build"]["dockerfile"]).is_file()
        assert set(service["networks"]) <= set(content["networks"])
        stores = {volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith("$")}
        assert stores <= set(content["volumes"])


def test_kustomize_lists_all_manifests() -> None:
    content = load(FILES / "kubernetes" / "kustomization.yaml")
    assert set(content["resources"]) == {path.name for path in MANIFESTS} - {"kustomization.yaml"}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_say_what_they_are(path) -> None:
    content = load(path)
    assert content["apiVersion"]
    assert content["kind"]
    assert path.name == "kustomization.yaml" or content["metadata"]["name"]


def schema_faults(content, version: str) -> str:
    """What Kubernetes of this version would refuse, unknown fields included; empty where it takes it."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(content, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as exc:
        return exc.message
    return ""


RESOURCES = [path for path in MANIFESTS if path.name != "kustomization.yaml"]
VERSIONS = ["1.29", "1.34"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.name)
def test_manifests_keep_to_the_schemas_of_kubernetes(path, version) -> None:
    assert schema_faults(load(path), version) == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_in_the_schemas_is_found(version) -> None:
    content = load(FILES / "kubernetes" / "agents.yaml")
    pod = content["spec"]["template"]["spec"]
    container = pod["containers"][0]
    for holder, key, value in (
        (pod, "nodeSelektor", {"a": "b"}),
        (container, "ports", [{"containerPort": "50051"}]),
        (container["startupProbe"], "exec", {"cmd": ["true"]}),
        (content, "kind", "DemonSet"),
    ):
        before = dict(holder)
        holder[key] = value
        assert schema_faults(content, version), key
        holder.clear()
        holder.update(before)
    assert schema_faults(content, version) == ""


@pytest.mark.parametrize(("name", "pod"), pods(), ids=lambda value: value if isinstance(value, str) else "")
def test_pods_keep_the_restricted_standard(name, pod) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in pod["volumes"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            command = container[probe]["exec"]["command"]
            assert command[2:4] == ["-m", "deploy.health"]
    kinds = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds <= {"secret", "emptyDir"}


def test_probes_and_agents_are_understood() -> None:
    from deploy.health import _parser
    from node_agent.arguments import parse_arguments

    for _, pod in pods():
        (container,) = pod["containers"]
        _parser().parse_args(container["livenessProbe"]["exec"]["command"][4:])
        config = parse_arguments([word.replace("$(NODE_NAME)", "pi-1") for word in container["args"]]).config
        ports = {port["containerPort"] for port in container["ports"]}
        assert ports == {config.listen.port, config.tcp_port}


def test_the_service_has_no_address_of_its_own_and_finds_all_agents() -> None:
    (service,) = manifest("Service")
    assert service["spec"]["clusterIP"] == "None"
    for agents in manifest("DaemonSet"):
        labels = agents["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert agents["spec"]["selector"]["matchLabels"].items() <= labels.items()
        kind = labels["splitfront.io/accelerator"]
        assert agents["spec"]["template"]["spec"]["nodeSelector"]["splitfront.io/agent"] == kind
        assert (kind == "cuda") == ("nvidia.com/gpu" in str(agents))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_kustomize_builds_it() -> None:
    words = ["kubectl", "kustomize", str(FILES / "kubernetes")]
    run = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    built = list(yaml.safe_load_all(run.stdout))
    assert {content["metadata"].get("namespace", "splitfront") for content in built} == {"splitfront"}
