"""The certificates of a cluster, for the terminal and for scripts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from coordinator.report.table_style import ShrinkingName, plain_table
from deploy.pki.authority import Authority, Issue, State, state_of
from deploy.pki.folder import certificate_name
from deploy.pki.identity import Certificate

_STYLES = {State.VALID: "green", State.DUE: "yellow"}


def pki_table(
    authority: Authority, certificates: Sequence[Certificate], revoked: Mapping[int, datetime], now: datetime
) -> Table:
    """Certificates with what they are worth."""
    drawn = plain_table(f"Cluster {authority.cluster}, authority until {authority.not_after:%Y-%m-%d}")
    for heading in ("role", "name", "addresses", "until", "renew from", "state", "serial"):
        drawn.add_column(heading)
    for one in certificates:
        state = state_of(one, revoked, now)
        drawn.add_row(
            one.identity.role,
            ShrinkingName(one.identity.name),
            Text(" ".join(one.addresses) or "none"),
            f"{one.not_after:%Y-%m-%d %H:%M}",
            f"{one.due:%Y-%m-%d %H:%M}",
            Text(state, style=_STYLES.get(state, "red")),
            ShrinkingName(one.serial_text),
        )
    drawn.caption = Text("times are UTC")
    return drawn


def certificate_facts(
    authority: Authority, certificate: Certificate, revoked: Mapping[int, datetime], now: datetime
) -> dict[str, object]:
    """A certificate for scripts; nothing in it is secret."""
    return {
        "cluster": certificate.identity.cluster,
        "role": str(certificate.identity.role),
        "name": certificate.identity.name,
        "uri": certificate.identity.uri,
        "addresses": list(certificate.addresses),
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "renew_from": certificate.due.isoformat(),
        "state": str(state_of(certificate, revoked, now)),
        "serial": certificate.serial_text,
        "file": str(authority.folder / certificate_name(certificate.identity)),
    }


def planned_facts(planned: Issue) -> dict[str, object]:
    """A certificate that would be issued."""
    return {
        "role": str(planned.identity.role),
        "name": planned.identity.name,
        "uri": planned.identity.uri,
        "addresses": list(planned.addresses),
        "not_after": planned.not_after.isoformat(),
    }


def hand_over_text(authority: Authority, certificate: Certificate) -> str:
    """Where a new certificate is, and what becomes of it."""
    path = authority.folder / certificate_name(certificate.identity)
    if path.parent == authority.folder:
        return f"It is {path}."
    return (
        f"Put {path} as {certificate.identity.role}.pem beside its key, with ca.pem and revoked.pem of "
        f"{authority.folder}."
    )
