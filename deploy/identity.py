"""A node's key is made on the node and stays there; a request comes here, and a certificate goes back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from shlex import quote

from deploy.inventory import Host
from deploy.layout import SYSTEM_USER, Layout
from deploy.planning.wanted import Wanted
from deploy.runner import Runner, checked
from deploy.steps import Step

Sign = Callable[[Host, bytes], Mapping[str, bytes]]
"""Files for the node by name, for its signing request (PEM): its certificate, the authority's, the list of revoked."""


def identity_steps(host: Host, layout: Layout, wanted: Wanted, sign: Sign) -> tuple[Step, ...]:
    """What gives a node a certificate; a key that it has is kept."""
    as_root = layout.is_system

    def act(runner: Runner) -> None:
        ask = request_command(host.name, layout, layout.release(wanted.release))
        request = checked(runner.run(ask, is_privileged=as_root), f"have {host.name!r} make a key").encode()
        for name, content in sign(host, request).items():
            path = quote(f"{layout.tls}/{name}")
            write = f"set -e; umask 022; cat >{path}.part; mv -f {path}.part {path}"
            checked(runner.run(write, stdin=content, is_privileged=as_root), f"write {layout.tls}/{name}")

    step = Step(
        name="identity",
        description=f"Have it make a key in {layout.tls}, and bring it a certificate for that",
        action=act,
        undo=f"rm -rf {quote(layout.tls)}",
        as_root=as_root,
        after=lambda state: replace(state, has_identity=True),
    )
    return (step,)


def request_command(name: str, layout: Layout, release: str) -> str:
    """Prints a signing request for the node's key, which only the agent can read."""
    tls = quote(layout.tls)
    make = f"{quote(f'{release}/bin/python')} -IB -m node_agent.tls.request --pki {tls} --name {quote(name)}"
    if not layout.is_system:
        return f"mkdir -p {tls} && {make}"
    return (
        f"mkdir -p {tls} && chown {SYSTEM_USER}: {tls} && chmod 0755 {tls} && "
        f"su -s /bin/sh -c {quote(make)} {SYSTEM_USER}"
    )
