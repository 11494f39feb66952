"""A machine's network: interfaces, what listens, firewalls, queueing disciplines."""

import re
from dataclasses import dataclass

from deploy.facts.fact import Fact, KeyLines

_COMMAND = r"""
echo "ssh $SSH_CONNECTION"
ip -o -4 addr show 2>/dev/null | awk '{ print "address", $2, $4 }'
ip -o -6 addr show scope global 2>/dev/null | awk '{ print "address", $2, $4 }'
ip -o route show default 2>/dev/null |
  awk '{ for (i = 1; i < NF; i++) if ($i == "dev") { print "default", $(i + 1); exit } }'
for folder in /sys/class/net/*; do
  name=${folder##*/}
  echo "interface $name $(cat "$folder/operstate" 2>/dev/null) $(cat "$folder/speed" 2>/dev/null || echo -1)" \
    "$([ -e "$folder/wireless" ] && echo wireless || echo wired)"
done
{ ss -Hltn 2>/dev/null || netstat -ltn 2>/dev/null; } | awk '/LISTEN/ { print "listens", $4 }'
tc qdisc show 2>/dev/null | sed 's/^/qdisc /'
for kind in sch_netem sch_tbf; do
  if grep -q "^$kind " /proc/modules 2>/dev/null || modprobe -n -q "$kind" 2>/dev/null ||
     grep -q "/$kind.ko" "/lib/modules/$(uname -r)/modules.builtin" "/lib/modules/$(uname -r)/modules.dep" 2>/dev/null
  then echo "kind $kind yes"; else echo "kind $kind unknown"; fi
done
command -v ufw >/dev/null && echo "firewall ufw $(ufw status 2>/dev/null | sed -n 's/^Status: //p')"
command -v firewall-cmd >/dev/null && echo "firewall firewalld $(firewall-cmd --state 2>/dev/null)"
command -v nft >/dev/null && nft list ruleset 2>/dev/null | grep -q 'hook input.*policy drop' &&
  echo "firewall nftables drops"
command -v iptables >/dev/null && iptables -S INPUT 2>/dev/null | grep -q '^-P INPUT DROP' &&
  echo "firewall iptables drops"
"""

_ACTIVE_FIREWALL = {"active", "running", "drops"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface."""

    name: str
    is_up: bool
    bytes_per_second: float | None
    """Of the cable; None: unknown."""
    is_wireless: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A machine's network."""

    interfaces: tuple[Interface, ...]
    default_interface: str
    """That of the default route; may be empty."""
    ssh_address: str
    """Address at which our SSH connection arrived; may be empty."""
    listening: frozenset[int]
    """Ports, over TCP."""
    qdiscs: tuple[str, ...]
    """As `tc qdisc show` has them."""
    shaping_kinds: frozenset[str]
    """Of `netem` and `tbf`, those that the kernel certainly has."""
    firewalls: tuple[str, ...]
    """Names of those that are active."""

    @property
    def ssh_interface(self) -> str:
        """The interface that our SSH connection uses; may be empty."""
        return next((item.name for item in self.interfaces if self.ssh_address in item.addresses), "")


def parse_network(text: str) -> Network:
    """The network that the output of the command describes."""
    lines = KeyLines.of(text)
    pairs = [value.split() for value in lines.every("address")]
    addresses: dict[str, list[str]] = {}
    for name, address, *_ in (pair for pair in pairs if len(pair) >= 2):
        addresses.setdefault(name, []).append(address.partition("/")[0])
    ssh = lines.first("ssh").split()
    firewalls = [words for value in lines.every("firewall") if len(words := value.split()) == 2]
    return Network(
        interfaces=tuple(_interface(value.split(), addresses) for value in lines.every("interface") if value),
        default_interface=lines.first("default"),
        ssh_address=ssh[2] if len(ssh) == 4 else "",
        listening=frozenset(_port(value) for value in lines.every("listens") if re.search(r":\d+$", value)),
        qdiscs=lines.every("qdisc"),
        shaping_kinds=frozenset(
            value.split()[0].removeprefix("sch_") for value in lines.every("kind") if value.endswith(" yes")
        ),
        firewalls=tuple(name for name, state in firewalls if state in _ACTIVE_FIREWALL),
    )


NETWORK = Fact(name="network", command=_COMMAND, parse=parse_network)


def _interface(words: list[str], addresses: dict[str, list[str]]) -> Interface:
    speed = next((int(word) for word in words[1:] if re.fullmatch(r"\d+", word)), 0)
    return Interface(
        name=words[0],
        is_up="up" in words or "unknown" in words,
        bytes_per_second=speed * 1e6 / 8 or None,
        is_wireless="wireless" in words,
        addresses=tuple(addresses.get(words[0].partition("@")[0], ())),
    )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
