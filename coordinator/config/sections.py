"""The parts of `cluster.yaml`, each by itself; what holds between them is in `config_relations`."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationInfo

from coordinator.config.address import check_address
from coordinator.config.cores import Cores
from coordinator.config.quantities import Bytes, BytesPerSecond, Loss, Seconds, SpanSeconds, cores_share_text
from partitioner.cluster import CLIENT


def _check_file(path: Path, info: ValidationInfo) -> Path:
    """`path`, taken from the folder of the file that names it. A wrong one is not repeated: it may be a pasted key."""
    folder: Path = (info.context or {}).get("folder", Path())
    found = folder / path.expanduser()
    if not (os.path.isfile(found) and os.access(found, os.R_OK)):  # noqa: PTH113 - takes impossible names too
        raise ValueError("there is no readable file at this path")
    return found


def _check_name(text: str) -> str:
    if not (text[:1].isalnum() and len(text) < 64 and all(c.isalnum() or c in "._-" for c in text) and text.isascii()):
        raise ValueError(f"'{text[:64]}' is not a name: wanted letters, digits, '.', '_' and '-', 63 at most")
    return text


def _check_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?", text):
        raise ValueError("wanted a host name or an IP address, without user and port")
    return text


def _check_user(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}", text):
        raise ValueError("wanted the name of a user")
    return text


def _check_fingerprint(text: str) -> str:
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text):
        raise ValueError(
            "wanted SHA256: and 43 characters, as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints"
        )
    return text


PKI_FILES = ("coordinator.pem", "coordinator.key", "ca.pem", "revoked.pem")
"""What a coordinator needs of the folder of `splitfront pki init`; the authority's key may be elsewhere."""

Name = Annotated[StrictStr, AfterValidator(_check_name)]
ReadableFile = Annotated[Path, AfterValidator(_check_file)]
Watts = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False, strict=True)]


class Section(BaseModel):
    """A part of the file. Keys are those of the file, attributes have their units in their names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class DeviceEmulation(Section):
    """How a local node plays a slower machine."""

    slowdown: float = Field(ge=1, le=10_000, allow_inf_nan=False, strict=True)
    """A stage ends no earlier than its time on this machine times this."""


class SshEndpointConfig(Section):
    """An SSH server and how to log in there."""

    host: Annotated[StrictStr, AfterValidator(_check_host)] | None = None
    """None: that of the node's address."""
    port: Annotated[StrictInt, Field(ge=1, le=65535)] = 22
    user: Annotated[StrictStr, AfterValidator(_check_user)] | None = None
    """None: as here."""
    key: ReadableFile | None = None
    """Private key; None: those of the SSH agent and the usual ones."""
    fingerprint: Annotated[StrictStr, AfterValidator(_check_fingerprint)] | None = None
    """Of the host's key, as `ssh-keygen -lf` there prints it: `SHA256:…`; None: your known_hosts counts."""


class JumpConfig(SshEndpointConfig):
    """A server that the connection to a node goes through."""

    host: Annotated[StrictStr, AfterValidator(_check_host)]


class SshConfig(SshEndpointConfig):
    """How `splitfront nodes` reaches a machine, and how it installs there."""

    jump: JumpConfig | None = None
    scope: Literal["auto", "system", "user"] = "auto"
    """`system`: for the whole machine, with a user of its own, needs root; `user`: in the home of the login user;
    `auto`: system where root can be had."""
    folder: Annotated[StrictStr, Field(pattern=r"^/[A-Za-z0-9._/-]+$")] | None = None
    """Where an installation of scope `user` lies; None: below ~/.local."""
    python: Annotated[StrictStr, Field(pattern=r"^/[A-Za-z0-9._/-]+$")] | None = None
    """Interpreter there; None: the oldest in the PATH that fits, which is the system's."""
    gpu: StrictBool = False
    """Whether the runtime for CUDA is installed instead of the one for processors."""
    tcp_port: Annotated[StrictInt, Field(ge=0, le=65535)] = 0
    """Of the data plane `tcp`; 0: any free one."""


class KubernetesConfig(Section):
    """A headless service of Kubernetes, each of whose pods is an agent."""

    service: Annotated[StrictStr, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
    namespace: Annotated[StrictStr, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = "splitfront"
    domain: Annotated[StrictStr, AfterValidator(_check_host)] = "cluster.local"
    """Of the cluster's DNS."""
    port: Annotated[StrictInt, Field(ge=1, le=65535)] = 50051

    @property
    def host(self) -> str:
        """Name of the service in the cluster's DNS."""
        return f"{self.service}.{self.namespace}.svc.{self.domain}"


class LimitsConfig(Section):
    """How much an agent that is started or installed lets others take; None: its own choice."""

    trial_seconds: SpanSeconds | None = Field(default=None, alias="trial", ge=1)
    """Processor time for opening a new shard and running it once. A slow device needs more than the usual 4 s."""
    run_seconds: SpanSeconds | None = Field(default=None, alias="run", ge=1)
    """For one request in one stage."""
    store_bytes: Bytes | None = Field(default=None, alias="store")
    """All that the shard store may hold."""

    @property
    def agent_options(self) -> tuple[str, ...]:
        """The agent's options for them."""
        options = {"trial-seconds": self.trial_seconds, "run-seconds": self.run_seconds, "quota": self.store_bytes}
        return tuple(f"--{name}={value}" for name, value in options.items() if value is not None)


class NodeConfig(Section):
    """One machine that can hold a stage."""

    name: Name
    address: Annotated[StrictStr, AfterValidator(check_address)] | None = None
    """`host:port` of a running agent."""
    local: StrictBool = False
    """Instead of an address: the coordinator starts an agent on this machine."""
    memory_bytes: Bytes | None = Field(default=None, alias="memory")
    """For weights, activations and the runtime together; None: all that the node has."""
    threads: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    """Of the runtime, for a local node or one that is installed; None: the agent's choice."""
    providers: tuple[StrictStr, ...] = ()
    """Execution providers of the runtime, best first, as for threads; none: the agent's choice."""
    emulate: DeviceEmulation | None = None
    """Paces a local node: it waits, so that its stage times hold by construction."""
    cores: Cores | None = None
    """Processors that a local node may use, as [0, 2] or 0,2-3; None: all."""
    cpu_quota: Annotated[float, Field(ge=0.05, le=1024, allow_inf_nan=False, strict=True)] | None = None
    """Cores' worth of time that the system leaves to a local node, such as 0.4: the node is limited, not paced. Needs
    root, or a control group of one's own."""
    optimisation: Literal["none", "basic", "extended", "all"] | None = None
    """How much of a graph the runtime of a local node may rewrite; None: all."""
    limits: LimitsConfig = LimitsConfig()
    """Of the agent, for a local node or one that is installed."""
    idle_watts: Watts | None = None
    active_watts: Watts | None = None
    kubernetes: KubernetesConfig | None = None
    """Instead of an address: each pod of a service is a node like this one, named by this name and its address."""
    ssh: SshConfig | None = None
    """How `splitfront nodes` installs and looks after the agent; None: you do."""

    def describe_emulation(self) -> str | None:
        """How the device is emulated, in words; None for a real one.

        One that is emulated `by waiting` is paced: its stage times hold by construction and prove nothing. One that is
        emulated `by the system's quota` is limited: its times are those of real computations.
        """
        paced = f"{self.emulate.slowdown:g} times slower than this machine, by waiting" if self.emulate else ""
        limited = f"{cores_share_text(self.cpu_quota)}, by the system's quota" if self.cpu_quota else ""
        return "; ".join(filter(None, (paced, limited))) or None


DataPlane = Literal["grpc", "tcp"]
"""How tensors travel: `grpc`, or `tcp`, which is lighter and costs a node one more port."""


class LinkShape(Section):
    """How a link behaves where it is emulated. What is None comes from the default."""

    delay_seconds: Seconds | None = Field(default=None, alias="delay")
    """One way."""
    jitter_seconds: Seconds | None = Field(default=None, alias="jitter")
    """Standard deviation of the delay."""
    bytes_per_second: BytesPerSecond | None = Field(default=None, alias="rate")
    """0: unlimited."""
    loss: Loss | None = None
    """Probability that a packet is lost and sent again."""


class LinkEnds(Section):
    """Two places, `client` included."""

    source: Name = Field(alias="from")
    target: Name = Field(alias="to")
    both: StrictBool = True
    """Whether it also holds for the way back."""

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """(source, target) of each direction that it describes."""
        there = (self.source, self.target)
        return (there, there[::-1]) if self.both else (there,)


class LinkConfig(LinkEnds, LinkShape):
    """A link between two places."""

    data_plane: DataPlane | None = None
    """How tensors travel over it; None: as over the others."""
    forbidden: StrictBool = False
    """Whether no plan may send this way."""
    emulated: StrictBool = False
    """Whether the sender waits also where an end is not local, on top of what the network does: for machines whose
    kernel `splitfront nodes shape` cannot use. Between local nodes it does in any case."""


class LinksConfig(Section):
    """All links: between local nodes they are emulated, between others probed."""

    default: LinkShape = LinkShape()
    between: tuple[LinkConfig, ...] = ()


class MediumConfig(Section):
    """What several links share, so that one of them sends at a time: a radio channel, a bus, a half-duplex line."""

    name: Name
    nodes: tuple[Name, ...] = ()
    """All that these send and receive crosses the medium; `client` may be among them."""
    links: tuple[LinkEnds, ...] = ()
    """Single links that cross it."""

    def directions(self, places: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(source, target) of each link between some places that crosses the medium."""
        named = {direction for link in self.links for direction in link.directions}
        return tuple(
            (source, target)
            for source in places
            for target in places
            if source != target and ({source, target} & set(self.nodes) or (source, target) in named)
        )


class ClientConfig(Section):
    """The end that sends inputs and takes results."""

    name: Name = CLIENT
    """For messages and pictures; links call it `client`."""


def _check_pki(path: Path, info: ValidationInfo) -> Path:
    """`path`, a folder that has what this end needs, taken from the folder of the file that names it."""
    folder: Path = (info.context or {}).get("folder", Path())
    found = folder / path.expanduser()
    if missing := [name for name in PKI_FILES if not os.access(found / name, os.R_OK)]:
        raise ValueError(f"there is no readable {missing[0]} in this folder: `splitfront pki init` makes one")
    return found


class TlsFiles(Section):
    """PEM files of this end of mutual TLS."""

    cert: ReadableFile
    key: ReadableFile
    ca: ReadableFile
    revoked: ReadableFile | None = None
    """List of certificates that the authority has revoked; None: none is known."""


class SecurityConfig(Section):
    """How nodes are spoken to. Without any of these, in clear, and only on loopback."""

    plaintext: StrictBool | None = None
    pki: Annotated[Path, AfterValidator(_check_pki)] | None = None
    """Folder of `splitfront pki init`, which has all files of this end."""
    tls: TlsFiles | None = None
    """Instead of `pki`: the files one by one."""

    @property
    def files(self) -> TlsFiles | None:
        """Files of this end; None: it speaks in clear."""
        if self.pki is None:
            return self.tls
        cert, key, ca, revoked = (self.pki / name for name in PKI_FILES)
        return TlsFiles.model_construct(cert=cert, key=key, ca=ca, revoked=revoked)
