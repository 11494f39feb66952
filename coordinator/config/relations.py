"""What must hold between the parts of a cluster's description. Pure, and content with data that is wrong elsewhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coordinator.config.address import parse_address
from coordinator.config.cores import parse_core_list
from coordinator.config.discovery import LONGEST_NAME
from coordinator.config.faults import Fault, KeyPath, nearest, path_text
from partitioner.cluster import CLIENT

_LOCAL_ONLY = {
    "emulate": "an agent of your own is started with --slowdown",
    "cores": "an agent of your own is started with --cores",
    "optimisation": "an agent of your own is started with --optimisation",
    "limits": "an agent of your own is started with --trial-seconds, --run-seconds and --quota",
    "cpu_quota": "an agent of your own is held by its service (CPUQuota=) or its container (--cpus)",
}
"""Keys that mean nothing elsewhere, and what to do there."""

_INSTALLED_TOO = {"cores", "optimisation", "limits", "cpu_quota"}
"""Keys of those that an installed node understands as well."""

_EMULATED = ("delay", "jitter", "rate", "loss")


def relation_faults(content: object) -> Iterator[Fault]:
    """All faults of a parsed `cluster.yaml` that no single value shows."""
    top = _mapping(content)
    nodes = tuple(_node(index, raw) for index, raw in _entries(top.get("nodes")))
    links = tuple(_link(index, raw) for index, raw in _entries(_mapping(top.get("links")).get("between")))
    for node in nodes:
        yield from _node_faults(node)
    yield from _repeated(nodes)
    yield from _stranded(nodes)
    places = {node.name: node.is_local for node in nodes if node.name} | {CLIENT: True}
    for link in links:
        yield from _link_faults(link, places)
    yield from _repeated_directions(links)
    yield from _default_faults(_mapping(_mapping(top.get("links")).get("default")), nodes)
    yield from _media_faults(top.get("media"), places)
    yield from _security_faults(_mapping(top.get("security")), nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    path: KeyPath
    name: str
    """Empty where the description has none."""
    is_local: bool
    address: str
    is_remote: bool
    """Whether it is elsewhere: it has an address that is not on loopback, or is found by a service."""
    raw: Mapping[str, object]

    @property
    def place(self) -> str:
        return self.address or "a service of Kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    path: KeyPath
    source: str
    target: str
    raw: Mapping[str, object]

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        there = (self.source, self.target)
        return (there,) if self.raw.get("both") is False else (there, there[::-1])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _entries(value: object) -> Iterator[tuple[int, Mapping[str, object]]]:
    """(index, entry) of each mapping in a list."""
    for index, entry in enumerate(value if isinstance(value, list) else []):
        if isinstance(entry, dict):
            yield index, entry


def _node(index: int, raw: Mapping[str, object]) -> _Node:
    address = _text(raw.get("address"))
    try:
        is_remote = bool(address) and not parse_address(address).is_loopback
    except ValueError:
        is_remote = False
    return _Node(
        path=("nodes", index),
        name=_text(raw.get("name")),
        is_local=raw.get("local") is True,
        address=address,
        is_remote=is_remote or "kubernetes" in raw,
        raw=raw,
    )


def _link(index: int, raw: Mapping[str, object]) -> _Link:
    source, target = _text(raw.get("from")), _text(raw.get("to"))
    return _Link(path=("links", "between", index), source=source, target=target, raw=raw)


def _node_faults(node: _Node) -> Iterator[Fault]:
    if node.is_local and "address" in node.raw:
        yield Fault(path=node.path, message="has both an address and local: true: keep one")
    has_service = "kubernetes" in node.raw
    if has_service and (node.is_local or {"address", "ssh"} & set(node.raw)):
        yield Fault(path=(*node.path, "kubernetes"), message="finds the nodes itself: leave out address, local and ssh")
    if has_service and len(node.name) > LONGEST_NAME:
        message = f"gets the addresses of pods added: wanted {LONGEST_NAME} characters at most"
        yield Fault(path=(*node.path, "name"), message=message)
    if not node.is_local and not has_service and "address" not in node.raw:
        wanted = "the address (host:port) of a running agent, or local: true to start one on this machine"
        yield Fault(path=node.path, message=f"says nowhere where it is: wanted {wanted}")
    understood = _INSTALLED_TOO if "ssh" in node.raw else set()
    for key in () if node.is_local else [key for key in _LOCAL_ONLY if key in node.raw and key not in understood]:
        yield Fault(path=(*node.path, key), message=f"is for nodes with local: true; {_LOCAL_ONLY[key]}")
    if node.is_local and "ssh" in node.raw:
        yield Fault(path=(*node.path, "ssh"), message="is for nodes with an address; this one is started here")
    yield from _quota_faults(node)
    if node.name == CLIENT:
        message = f"'{CLIENT}' means the end that sends inputs: choose another name"
        yield Fault(path=(*node.path, "name"), message=message)
    idle, active = node.raw.get("idle_watts"), node.raw.get("active_watts")
    if isinstance(idle, int | float) and isinstance(active, int | float) and idle > active:
        yield Fault(path=(*node.path, "idle_watts"), message=f"{idle} is more than active_watts, {active}: swap them?")


def _quota_faults(node: _Node) -> Iterator[Fault]:
    quota = node.raw.get("cpu_quota")
    try:
        n_cores = len(parse_core_list(node.raw["cores"])) if "cores" in node.raw else None
    except ValueError:
        return
    if n_cores is not None and isinstance(quota, int | float) and quota > n_cores:
        message = f"{quota:g} is more than the {n_cores} of cores: it would limit nothing"
        yield Fault(path=(*node.path, "cpu_quota"), message=message)


def _repeated(nodes: tuple[_Node, ...]) -> Iterator[Fault]:
    for key in ("name", "address"):
        first: dict[str, KeyPath] = {}
        for node in nodes:
            value = node.name if key == "name" else node.address
            if value and value in first:
                message = f"'{value}' is already that of {path_text(first[value])}: choose another"
                yield Fault(path=(*node.path, key), message=message)
            first.setdefault(value, node.path)


def _stranded(nodes: tuple[_Node, ...]) -> Iterator[Fault]:
    if any(node.is_local for node in nodes):
        for node in nodes:
            if node.is_remote and not node.is_local:
                message = (
                    "cannot reach the nodes with local: true, which listen on loopback: start an agent on this machine "
                    "yourself and give its address"
                )
                yield Fault(path=(*node.path, "address"), message=message)


def _link_faults(link: _Link, places: Mapping[str, bool]) -> Iterator[Fault]:
    ends = {"from": link.source, "to": link.target}
    for key, name in ends.items():
        if name and name not in places:
            yield Fault(path=(*link.path, key), message=f"there is no node '{name}': {nearest(name, places)}")
    if link.source and link.source == link.target:
        yield Fault(path=link.path, message=f"leads from '{link.source}' to itself: a node needs no link to itself")
    shaped = [key for key in _EMULATED if key in link.raw]
    said = [key for key in (*_EMULATED, "data_plane") if key in link.raw]
    if link.raw.get("forbidden") is True and said:
        message = f"is forbidden, so that {', '.join(said)} would mean nothing: keep one of the two"
        yield Fault(path=link.path, message=message)
    elif link.raw.get("emulated") is True and not shaped:
        yield Fault(path=(*link.path, "emulated"), message=f"says not how: wanted {', '.join(_EMULATED)}")
    elif (
        shaped
        and link.raw.get("emulated") is not True
        and (real := [name for name in ends.values() if places.get(name) is False])
    ):
        message = (
            f"'{real[0]}' is not local, so that the link is probed, not emulated: only data_plane or forbidden may "
            "stand here, unless emulated: true has the sender wait on top of the network"
        )
        yield Fault(path=(*link.path, shaped[0]), message=message)
    elif not said and "forbidden" not in link.raw:
        yield Fault(path=link.path, message=f"says nothing: wanted {', '.join(_EMULATED)}, data_plane or forbidden")


def _repeated_directions(links: tuple[_Link, ...]) -> Iterator[Fault]:
    first: dict[tuple[str, str], KeyPath] = {}
    for link in links:
        if link.source == link.target:
            continue
        known = [first[direction] for direction in link.directions if direction in first]
        if known:
            message = (
                f"'{link.source}' and '{link.target}' are already linked by {path_text(known[0])}: keep one, or write "
                "both: false for each direction"
            )
            yield Fault(path=link.path, message=message)
        for direction in link.directions:
            first.setdefault(direction, link.path)


def _default_faults(default: Mapping[str, object], nodes: tuple[_Node, ...]) -> Iterator[Fault]:
    if default and nodes and not any(node.is_local for node in nodes):
        message = "no node is local, so that every link is probed and none emulated: take it out"
        yield Fault(path=("links", "default"), message=message)


def _media_faults(media: object, places: Mapping[str, bool]) -> Iterator[Fault]:
    first: dict[str, KeyPath] = {}
    for index, raw in _entries(media):
        path: KeyPath = ("media", index)
        name = _text(raw.get("name"))
        if name and name in first:
            message = f"'{name}' is already that of {path_text(first[name])}: choose another"
            yield Fault(path=(*path, "name"), message=message)
        first.setdefault(name, path)
        if not raw.get("nodes") and not raw.get("links"):
            yield Fault(path=path, message="says nothing: wanted the nodes or the links that share it")
        nodes = raw.get("nodes")
        ends = [
            ((*path, "nodes", number), node) for number, node in enumerate(nodes if isinstance(nodes, list) else [])
        ]
        for number, link in _entries(raw.get("links")):
            here = (*path, "links", number)
            ends += [((*here, key), link.get(key)) for key in ("from", "to")]
            if link.get("from") == link.get("to") is not None:
                yield Fault(path=here, message=f"leads from '{link.get('to')}' to itself: no medium is crossed")
        for where, end in ends:
            if _text(end) and end not in places:
                yield Fault(path=where, message=f"there is no node '{end}': {nearest(_text(end), places)}")


def _security_faults(security: Mapping[str, object], nodes: tuple[_Node, ...]) -> Iterator[Fault]:
    given = [key for key in ("pki", "tls") if security.get(key)]
    plaintext, has_tls = security.get("plaintext"), bool(given)
    if len(given) > 1:
        yield Fault(path=("security",), message="has both pki and tls: keep one, pki names all files")
    if plaintext is True and has_tls:
        yield Fault(path=("security",), message=f"has both {given[0]} and plaintext: true: keep one")
    if plaintext is False and not has_tls:
        yield Fault(path=("security",), message="forbids plaintext but names no tls: wanted pki, or cert, key and ca")
    remote = [node for node in nodes if node.is_remote]
    if remote and plaintext is None and not has_tls:
        message = (
            f"is missing: '{remote[0].name}' at {remote[0].place} is not on loopback: wanted pki (a folder made by "
            "`splitfront pki init`), tls with cert, key and ca, or plaintext: true if everybody on that network may "
            "read and change the tensors"
        )
        yield Fault(path=("security",), message=message)
