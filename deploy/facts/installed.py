"""What of ours is on a machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from shlex import quote

from deploy.facts.fact import Fact, KeyLines
from deploy.layout import SYSTEM_USER, UNIT, Layout

_COMMAND = r"""
for folder in "$ROOT" "$RELEASES" "$STATE" "$LOGS" "$STAGING" "$STAGING/wheels"; do
  [ -d "$folder" ] && echo "folder $folder"
done
find "$ROOT/tls" -prune -type d $SAFE -exec echo folder {} \; 2>/dev/null
for file in "$ROOT"/* "$ROOT"/.[!.]*; do
  [ -e "$file" ] || [ -L "$file" ] || continue
  [ -d "$RELEASES" ] && case $file in OWN) continue ;; esac
  echo "other ${file##*/}"
done
for release in "$RELEASES"/*; do
  [ -e "$release" ] || continue
  [ -e "$release/.complete" ] && echo "release ${release##*/}" || echo "partial ${release##*/}"
done
[ -L "$ROOT/current" ] && current=$(readlink "$ROOT/current") && echo "current ${current##*/}"
[ -r "$ROOT/confirmed" ] && echo "confirmed $(cat "$ROOT/confirmed")"
id "$SYSTEM_USER" >/dev/null 2>&1 && echo "user yes"
for name in node.pem ca.pem revoked.pem; do
  [ -e "$ROOT/tls/$name" ] && echo "tls $(sha256sum <"$ROOT/tls/$name" | cut -c-64) $name"
done
[ -e "$ROOT/tls/node.key" ] && echo "tls secret node.key"
openssl x509 -checkend "$RENEWAL" -noout -in "$ROOT/tls/node.pem" >/dev/null 2>&1 && echo "lasting yes"
for file in "$@"; do
  [ -e "$file" ] && echo "file $(sha256sum <"$file" | cut -c-64) $file"
  [ -e "$file.before" ] && echo "kept $file"
done
for wheel in "$STAGING"/wheels/*.whl; do
  [ -e "$wheel" ] && echo "wheel $(sha256sum <"$wheel" | cut -c-64) ${wheel##*/}"
done
"""

_RENEWAL_SECONDS = 10 * 24 * 3600
"""A certificate that ends sooner is renewed."""

_SYSTEMD = f"""
echo "active $(systemctl is-active {UNIT} 2>/dev/null)"
echo "enabled $(systemctl is-enabled {UNIT} 2>/dev/null)"
echo "pid $(systemctl show -p MainPID --value {UNIT} 2>/dev/null)"
echo "restarts $(systemctl show -p NRestarts --value {UNIT} 2>/dev/null)"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What of ours is on a machine; empty on a bare one."""

    folders: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    """Names of what lies in the root and no install made; all that lies there, where there are no releases."""
    releases: frozenset[str] = frozenset()
    """Those that are whole."""
    partial_releases: frozenset[str] = frozenset()
    current: str = ""
    """The release that starts next; may be empty."""
    confirmed: str = ""
    """Stamp (release and settings) of what was last found healthy."""
    has_user: bool = False
    tls_files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file for TLS that is there, by its name; `secret` for the key."""
    has_lasting_certificate: bool = False
    """Whether the node has a certificate that lasts for some more days."""
    files: Mapping[str, str]
    """SHA-256 of each managed file that is there."""
    kept_files: frozenset[str] = frozenset()
    """Managed files of which the text before an unconfirmed change is kept."""
    wheels: Mapping[str, str]
    """SHA-256 of each wheel that is there."""
    is_active: bool = False
    is_enabled: bool = False
    """Whether systemd starts it with the machine."""
    pid: int = 0
    n_restarts: int = 0

    @property
    def is_bare(self) -> bool:
        """Whether nothing of ours is there."""
        return self == NOTHING

    @property
    def is_foreign(self) -> bool:
        """Whether the root holds things of somebody else and no installation, not even one that was broken off."""
        return bool(self.others) and not (self.releases or self.confirmed)

    @property
    def others_text(self) -> str:
        """Some of the others, in words."""
        names = sorted(self.others)
        return f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}"

    @property
    def confirmed_release(self) -> str:
        """The release that was last found healthy; may be empty."""
        return self.confirmed.partition(" ")[0]

    @property
    def confirmed_address(self) -> str:
        """Where that one answers; may be empty."""
        return next(iter(self.confirmed.split()[2:3]), "")

    @property
    def confirmed_server_name(self) -> str:
        """What its certificate calls it; empty where it speaks in clear."""
        return next(iter(self.confirmed.split()[3:4]), "")


NOTHING = Installed(files={}, wheels={})


def installed_fact(layout: Layout) -> Fact[Installed]:
    """What of ours is on a machine that is laid out like this."""
    names = {
        "ROOT": layout.root,
        "RELEASES": layout.releases,
        "STATE": layout.state,
        "LOGS": layout.logs,
        "STAGING": layout.staging,
        "SYSTEM_USER": SYSTEM_USER,
        "SAFE": "-user root -perm 755" if layout.is_system else "",
        "RENEWAL": str(_RENEWAL_SECONDS),
    }
    setting = "\n".join(f"{name}={quote(value)}" for name, value in names.items())
    files = " ".join(map(quote, layout.managed_files))
    supervised = f"[ -e {quote(layout.supervisor)} ] && {layout.supervise('status')}"
    service = _SYSTEMD if layout.has_systemd else supervised
    command = _COMMAND.replace("OWN", "|".join(map(quote, layout.own_paths)))
    return Fact(name="installation", command=f"{setting}\nset -- {files}\n{command}{service}", parse=parse_installed)


def parse_installed(text: str) -> Installed:
    """The installation that the output of the command describes."""
    lines = KeyLines.of(text)
    return Installed(
        folders=frozenset(lines.every("folder")),
        others=frozenset(lines.every("other")),
        releases=frozenset(lines.every("release")),
        partial_releases=frozenset(lines.every("partial")),
        current=lines.first("current"),
        confirmed=lines.first("confirmed"),
        has_user=bool(lines.first("user")),
        tls_files=_digests(lines.every("tls")),
        has_lasting_certificate=bool(lines.first("lasting")),
        files=_digests(lines.every("file")),
        kept_files=frozenset(lines.every("kept")),
        wheels=_digests(lines.every("wheel")),
        is_active=lines.first("active") == "active",
        is_enabled=lines.first("enabled") == "enabled",
        pid=lines.number("pid") or 0,
        n_restarts=lines.number("restarts") or 0,
    )


def _digests(values: tuple[str, ...]) -> dict[str, str]:
    return {name: digest for digest, _, name in (value.partition(" ") for value in values)}
