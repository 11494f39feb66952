"""Where a node listens: `host:port`."""

import ipaddress
import re
from dataclasses import dataclass

_FORM = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)):(?P<port>[0-9]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. Host names other than `localhost` are not looked up."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def is_wildcard(self) -> bool:
        """Whether it says where to listen, not where to find somebody."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - to refuse it


def parse_address(text: str) -> Address:
    """The host and port of `192.168.1.11:50051`, `pi-1.local:50051` or `[::1]:50051`.

    Raises:
        ValueError: It is none; the text is not repeated, because a wrong one may hold a password.
    """
    match = _FORM.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise ValueError("wanted host:port, like 192.168.1.11:50051 or '[::1]:50051', with a port of 1 to 65535")
    address = Address(host=match["v6"] or match["host"], port=int(match["port"]))
    if address.is_wildcard:
        raise ValueError(f"{address.host} is where a node listens; write where the others find it")
    return address


def check_address(text: str) -> str:
    """`text` itself, when it is an address.

    Raises:
        ValueError: It is none.
    """
    parse_address(text)
    return text
