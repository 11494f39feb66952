"""`splitfront pki`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click
from click.core import ParameterSource

from coordinator.cli.options import dry_run_option, json_option
from coordinator.cli.pki_options import days_option, passphrase_option, pki_option, read_passphrase, tell

if TYPE_CHECKING:
    from deploy.pki import Authority
    from deploy.pki.authority import Issue


@click.group(short_help="Certificates of a cluster: make, renew and revoke them.")
def command() -> None:
    """Looks after the authority of a cluster, which says who is a node and who may tell nodes what to do.

    All lies in one folder: ca.key (keep it safe: whoever has it is the cluster), ca.pem and revoked.pem (every machine
    gets them), coordinator.key and coordinator.pem (of this machine), nodes/NAME.pem. A node's key is made on the node
    and never leaves it.

    \b
    A cluster with one node:
      splitfront pki init lab
      pi-1$ python -m node_agent.tls.request --pki ~/pki --name pi-1 > pi-1.csr
      splitfront pki issue pi-1 --request pi-1.csr --address 192.168.1.11 --address pi-1.local
      scp pki/nodes/pi-1.pem pi-1:pki/node.pem; scp pki/ca.pem pki/revoked.pem pi-1:pki/
      pi-1$ python -m node_agent --listen 0.0.0.0:50051 --pki ~/pki
    \b
    and in cluster.yaml:
      security: {pki: pki}
    """


@command.command(short_help="Make the authority of a new cluster.")
@click.argument("cluster")
@pki_option
@click.option("--encrypt", "is_sealed", is_flag=True, help="Protects the authority's key with a passphrase.")
@passphrase_option
@days_option("Life of the authority.", default=3650.0)
@dry_run_option
@json_option
def init(
    cluster: str,
    *,
    folder: Path,
    is_sealed: bool,
    passphrase_file: Path | None,
    days: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Makes the authority of CLUSTER, and the key and certificate of this machine as its coordinator.

    \b
    Examples:
      splitfront pki init lab
      splitfront pki init lab --pki ~/lab-pki --encrypt
    """
    from deploy.pki import create_authority
    from deploy.pki.creation import check_new

    check_new(folder, cluster)
    facts = {"folder": str(folder), "cluster": cluster, "is_encrypted": is_sealed}
    if dry_run:
        tell(f"Would make the authority of cluster '{cluster}' in {folder}.", facts, as_json=as_json)
        return
    passphrase = read_passphrase(passphrase_file, is_new=True) if is_sealed else None
    made = create_authority(folder, cluster, passphrase=passphrase, life=timedelta(days=days))
    text = (
        f"Made the authority of cluster '{cluster}' in {folder}, until {made.not_after:%Y-%m-%d}. Keep "
        f"{folder / 'ca.key'} safe.\n"
        "Next, on each node: python -m node_agent.tls.request --pki DIR --name NAME > NAME.csr"
    )
    tell(text, facts | {"not_after": made.not_after.isoformat()}, as_json=as_json)


@command.command(short_help="Issue a certificate for a key that was made elsewhere.")
@click.argument("name")
@pki_option
@click.option("--request", "request_file", type=click.File("rb"), help="Signing request in PEM; - is standard input.")
@click.option("--address", "addresses", multiple=True, help="IP address or host name of the node; repeat it.")
@click.option("--role", type=click.Choice(("node", "coordinator")), default="node", show_default=True)
@days_option("Life of the certificate.")
@passphrase_option
@dry_run_option
@json_option
def issue(
    name: str,
    *,
    folder: Path,
    request_file: IO[bytes] | None,
    addresses: tuple[str, ...],
    role: str,
    days: float,
    passphrase_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Issues a certificate for the node or coordinator NAME.

    Only the key and the name are taken from the request; what else the certificate says is said here.

    \b
    Examples:
      splitfront pki issue pi-1 --request pi-1.csr --address 192.168.1.11 --address pi-1.local
      ssh pi-1 python -m node_agent.tls.request --pki pki --name pi-1 |
        splitfront pki issue pi-1 --request - --address 192.168.1.11
      splitfront pki issue laptop --role coordinator --request laptop.csr
      splitfront pki issue coordinator --role coordinator      (this machine, with a new key)
    """
    from deploy.pki import Authority, Role

    authority = Authority(folder)
    planned = authority.plan_issue(
        name,
        Role(role),
        request_pem=request_file.read() if request_file else None,
        addresses=addresses,
        life=timedelta(days=days),
    )
    _issue_all(authority, (planned,), passphrase_file, dry_run=dry_run, as_json=as_json)


@command.command(short_help="Renew what has lived for two thirds of its life.")
@click.argument("names", nargs=-1)
@pki_option
@days_option("Life of the new certificates.  [default: as long as the former ones]", default=None)
@passphrase_option
@dry_run_option
@json_option
def renew(
    names: tuple[str, ...],
    *,
    folder: Path,
    days: float | None,
    passphrase_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Issues new certificates for the same keys: to all whose certificate is due, or to NAMES whether due or not.

    An agent takes the new file without a restart. To be run daily; when nothing is due, nothing is done.

    \b
    Examples:
      splitfront pki renew
      splitfront pki renew pi-1 --days 7
    """
    from deploy.pki import Authority

    authority = Authority(folder)
    planned = authority.plan_renewal(names, life=None if days is None else timedelta(days=days))
    _issue_all(authority, planned, passphrase_file, dry_run=dry_run, as_json=as_json)


def _issue_all(
    authority: "Authority", planned: "Sequence[Issue]", passphrase_file: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    from coordinator.report.pki_table import certificate_facts, hand_over_text, planned_facts

    if dry_run or not planned:
        lines = [
            f"Would issue to the {one.identity} until {one.not_after:%Y-%m-%d %H:%M} UTC, at "
            f"{', '.join(one.addresses) or 'no address'}."
            for one in planned
        ]
        text = "\n".join(lines) or "Nothing is due."
        tell(text, {"certificates": [], "planned": [*map(planned_facts, planned)]}, as_json=as_json)
        return
    passphrase = read_passphrase(passphrase_file) if authority.is_sealed else None
    issued = [authority.issue(one, passphrase) for one in planned]
    lines = [
        f"Issued to the {one.identity} until {one.not_after:%Y-%m-%d %H:%M} UTC. {hand_over_text(authority, one)}"
        for one in issued
    ]
    facts = [certificate_facts(authority, one, {}, datetime.now(UTC)) for one in issued]
    tell("\n".join(lines), {"certificates": facts, "planned": []}, as_json=as_json)


@command.command(short_help="Take back what the authority has vouched for.")
@click.argument("names", nargs=-1, required=True)
@pki_option
@click.option(
    "--cluster",
    "cluster_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Cluster file, which names the authority: brings the list to all its nodes that have an ssh section.",
)
@passphrase_option
@dry_run_option
@json_option
def revoke(
    names: tuple[str, ...],
    *,
    folder: Path,
    cluster_file: Path | None,
    passphrase_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Puts all certificates of NAMES on the list of revoked ones, revoked.pem, which every node must get.

    An agent that has the new list refuses them with the next call, without a restart, and ends the data streams that
    they hold open there. With --cluster the list is brought to the nodes; a node that was not reached gets it when this
    is run again.

    \b
    Examples:
      splitfront pki revoke pi-1 --cluster cluster.yaml
      splitfront pki revoke pi-1 laptop --dry-run
    """
    from coordinator.cli.nodes_run import hand_revocations
    from coordinator.report.pki_table import certificate_facts

    authority = _authority_of(folder, cluster_file)
    listed = authority.folder / "revoked.pem"
    chosen = authority.plan_revocation(names)
    if chosen and not dry_run:
        authority.revoke(chosen, read_passphrase(passphrase_file) if authority.is_sealed else None)
    verb = "Would revoke" if dry_run else "Revoked"
    lines = [f"{verb} the certificate {one.serial_text} of the {one.identity}." for one in chosen]
    lines += [] if chosen else ["There is nothing left to revoke."]
    if cluster_file is None:
        lines.append(
            f"No node knows of it yet: run this again with --cluster cluster.yaml, or bring {listed} to every node."
        )
    facts = [certificate_facts(authority, one, authority.revoked(), datetime.now(UTC)) for one in chosen]
    told: dict[str, object] = {"certificates": facts, "is_done": bool(chosen) and not dry_run}
    if not as_json:
        click.echo("\n".join(lines))
    reports = []
    if cluster_file is not None:
        reports = hand_revocations(cluster_file, listed.read_bytes(), as_json=as_json, dry_run=dry_run)
    if as_json:
        tell("", told | {"nodes": [*map(asdict, reports)]}, as_json=True)
    if any(report.outcome == "failed" for report in reports):
        raise click.exceptions.Exit(1)


def _authority_of(folder: Path, cluster_file: Path | None) -> "Authority":
    """The authority of a cluster file, or that of a folder. One that was named must be both."""
    from coordinator.config import load_cluster
    from coordinator.errors import ConfigError
    from deploy.pki import Authority

    if cluster_file is None:
        return Authority(folder)
    security = load_cluster(cluster_file).security
    if security.files is None:
        raise ConfigError(
            str(cluster_file), ["it names no authority, whose list its nodes could have: `security: {pki: …}`"]
        )
    is_named = click.get_current_context().get_parameter_source("folder") is not ParameterSource.DEFAULT
    authority = Authority(folder if is_named or security.pki is None else security.pki)
    if security.files.ca.read_bytes().strip() != authority.pem.strip():
        raise ConfigError(
            str(cluster_file), [f"{authority.folder} is not the authority of its nodes, which is {security.files.ca}"]
        )
    return authority


@command.command(short_help="Show certificates and what they are worth.")
@click.argument("names", nargs=-1)
@pki_option
@click.option("--all", "has_former", is_flag=True, help="Former certificates, too.")
@json_option
def show(names: tuple[str, ...], *, folder: Path, has_former: bool, as_json: bool) -> None:
    """Shows the certificates of NAMES, or of all. Needs no key.

    \b
    Examples:
      splitfront pki show
      splitfront pki show pi-1 --all --json
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.report.pki_table import certificate_facts, pki_table
    from deploy.pki import Authority

    authority, now = Authority(folder), datetime.now(UTC)
    chosen = authority.chosen(names, has_former=has_former)
    revoked = authority.revoked()
    if as_json:
        facts = [certificate_facts(authority, one, revoked, now) for one in chosen]
        whole = {"cluster": authority.cluster, "not_after": authority.not_after.isoformat(), "certificates": facts}
        tell("", whole, as_json=True)
    else:
        Terminal().show(pki_table(authority, chosen, revoked, now))
