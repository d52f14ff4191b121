"""`bartizan targets`: the hosts behind this bastion and the keys they are known by."""

from __future__ import annotations

import asyncio

import asyncssh
import click

from broker.commands.admin import AdminContext, actor, change, now
from broker.commands.config import load_all
from broker.commands.context import Context
from broker.commands.listing import done, show
from broker.model.errors import Invalid, Unavailable
from broker.model.target import Target
from broker.relay.target import HOST_KEY_ALGORITHMS

TIMEOUT = 10


@click.group()
def targets() -> None:
    """Look at targets and pin their host keys."""


@targets.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def ls(context: Context, as_json: bool) -> None:
    """List the configured targets.

    Example: bartizan targets ls
    """
    _, found, _ = load_all(context.config_path)
    rows = [
        {
            "name": target.name,
            "address": target.address,
            "port": target.port,
            "accounts": target.accounts,
            "credential": target.credential.kind.value,
            "origin": target.origin,
        }
        for target in found
    ]
    show(rows, as_json=as_json or context.json)


@targets.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="The fingerprint was compared by other means; do not ask.")
@click.option("--fingerprint", help="Pin only the key with this fingerprint (SHA256:...).")
@click.pass_obj
def enroll(context: AdminContext, name: str, yes: bool, fingerprint: str | None) -> None:
    """Ask the target NAME for its host key, show the fingerprint, and pin it if you say yes.

    Keys pinned before are replaced: what is not pinned is refused from then on.

    Example: bartizan targets enroll prod-db-1
    """
    target = _target(context, name)
    key = asyncio.run(_host_key(target))
    found = key.get_fingerprint()
    if fingerprint is not None and fingerprint != found:
        raise Invalid(f"{name} shows {found}, not {fingerprint}: nothing was pinned")
    click.echo(f"{name} ({target.address}:{target.port}) shows {key.get_algorithm()} {found}", err=True)
    if fingerprint is None and not yes:
        click.confirm("Compare it with the host's own ssh-keygen -lf. Pin this key?", abort=True, err=True)
    line = key.export_public_key().decode().rsplit("\n", 1)[0]
    line = " ".join(line.split()[:2])
    store = context.open_store()
    old = store.host_keys(name)

    def pin() -> None:
        store.unpin_host_keys(name)
        store.pin_host_key(name, line, actor(), now())

    was = ", ".join(asyncssh.import_public_key(old_line).get_fingerprint() for old_line in old)
    change(store, pin, "targets.enrolled", name, fingerprint=found, replaced=was)
    done(f"pinned {found} for {name}", {"name": name, "fingerprint": found}, as_json=context.json)


def _target(context: AdminContext, name: str) -> Target:
    assert isinstance(context, Context)
    _, found, _ = load_all(context.config_path)
    for target in found:
        if target.name == name:
            return target
    raise Invalid(f"no target is called {name!r}", hint="bartizan targets ls")


async def _host_key(target: Target) -> asyncssh.SSHKey:
    try:
        key = await asyncio.wait_for(
            asyncssh.get_server_host_key(
                target.address, target.port, server_host_key_algs=HOST_KEY_ALGORITHMS, config=None
            ),
            TIMEOUT,
        )
    except (OSError, asyncssh.Error, TimeoutError) as exc:
        raise Unavailable(f"{target.name} does not answer with a host key ({exc})") from None
    if key is None:
        raise Unavailable(f"{target.name} showed no host key")
    return key
