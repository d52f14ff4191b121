"""`bartizan secrets`: the credentials of targets, which nobody sees again once they are added."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from broker.commands.admin import AdminContext, change
from broker.commands.listing import done, moment, show
from broker.model.errors import Invalid
from broker.model.secret import Secret, SecretInfo, SecretKind

_MAX_READ = 128 * 1024
_KINDS = click.Choice([kind.value for kind in SecretKind])


@click.group()
def secrets() -> None:
    """Keep the passwords and private keys of targets, and the broker's own CA.

    A value is never shown, and never an argument: it is read from a file, from stdin, or asked for.

    Example: bartizan secrets add web-key --kind private-key --file id_ed25519
    """


@secrets.command()
@click.argument("name")
@click.option("--kind", required=True, type=_KINDS)
@click.option("--file", "file", type=click.File("rb"), help="File with the value; - is stdin.")
@click.pass_obj
def add(context: AdminContext, name: str, kind: str, file: BinaryIO | None) -> None:
    """Add the secret NAME. Without --file its value is read from stdin, or asked for at a terminal.

    Example: bartizan secrets add db-password --kind password
    """
    chosen = SecretKind(kind)
    value = _value(chosen, file)
    store, vault = context.open_store(), context.open_vault()
    change(store, lambda: vault.add(name, chosen, value), "secrets.added", name, kind=kind)
    done(f"added the secret {name}", {"name": name, "kind": kind}, as_json=context.json)


@secrets.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def ls(context: AdminContext, as_json: bool) -> None:
    """List the secrets, without their values.

    Example: bartizan secrets ls
    """
    rows = [
        {
            "name": info.name,
            "kind": info.kind.value,
            "created_at": moment(info.created_at),
            "rotated_at": moment(info.rotated_at),
            "master_key": info.key_version,
        }
        for info in context.open_vault().list()
    ]
    show(rows, as_json=as_json or context.json)


@secrets.command()
@click.argument("name", required=False)
@click.option("--master", is_flag=True, help="Wrap every secret with the newest master key instead.")
@click.option("--file", "file", type=click.File("rb"), help="File with the new value; - is stdin.")
@click.pass_obj
def rotate(context: AdminContext, name: str | None, master: bool, file: BinaryIO | None) -> None:
    """Give the secret NAME a new value, which the next connection uses.

    Example: bartizan secrets rotate db-password

    With --master: first name the new key in bartizan.yaml as vault.master_key and the old one under
    vault.previous.
    """
    if master and (name or file):
        raise Invalid("--master goes without a name and a file: it concerns every secret")
    if master:
        _rewrap(context)
    elif name is None:
        raise Invalid("which secret?", hint="bartizan secrets rotate NAME, or --master")
    else:
        _replace(context, name, file)


@secrets.command()
@click.argument("name")
@click.pass_obj
def rm(context: AdminContext, name: str) -> None:
    """Remove the secret NAME; targets that name it can no longer be opened.

    Example: bartizan secrets rm old-key
    """
    info = _known(context, name)
    store, vault = context.open_store(), context.open_vault()
    change(store, lambda: vault.remove(name), "secrets.removed", name, kind=info.kind.value)
    done(f"removed the secret {name}", {"name": name}, as_json=context.json)


@secrets.command(name="master-key")
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_obj
def master_key(context: AdminContext, path: Path) -> None:
    """Write a new master key to the new file PATH, for vault.master_key in bartizan.yaml.

    Example: bartizan secrets master-key /etc/bartizan/master.key
    """
    from broker.adapters.master_key import generate_master_key

    generate_master_key(path)
    done(f"wrote a new master key to {path}", {"path": str(path)}, as_json=context.json)


@secrets.group()
def ca() -> None:
    """The broker's certificate authority, for targets with `credential: ca`.

    Example: bartizan secrets ca show >> /etc/ssh/bartizan_ca.pub
    """


@ca.command()
@click.pass_obj
def init(context: AdminContext) -> None:
    """Make the CA's key; prints the public line for the targets.

    Example: bartizan secrets ca init
    """
    store, vault = context.open_store(), context.open_vault()
    line = change(store, vault.create_ca, "secrets.ca-created", "broker-ca")
    done(line, {"public_key": line}, as_json=context.json)


@ca.command(name="show")
@click.pass_obj
def show_ca(context: AdminContext) -> None:
    """Print the CA's public line: put it into the file that sshd's TrustedUserCAKeys names.

    Example: bartizan secrets ca show
    """
    line = context.open_vault().ca_public_line()
    done(line, {"public_key": line}, as_json=context.json)


def _rewrap(context: AdminContext) -> None:
    store, vault = context.open_store(), context.open_vault()
    count = change(store, vault.rewrap, "secrets.rewrapped", "")
    message = f"{count} secrets wrapped with the newest master key"
    done(message, {"rewrapped": count}, as_json=context.json)


def _replace(context: AdminContext, name: str, file: BinaryIO | None) -> None:
    info = _known(context, name)
    value = _value(info.kind, file)
    store, vault = context.open_store(), context.open_vault()
    change(store, lambda: vault.replace(name, value), "secrets.rotated", name, kind=info.kind.value)
    done(f"rotated the secret {name}", {"name": name, "kind": info.kind.value}, as_json=context.json)


def _known(context: AdminContext, name: str) -> SecretInfo:
    for info in context.open_vault().list():
        if info.name == name:
            return info
    raise Invalid(f"there is no secret {name[:80]!a}", hint="bartizan secrets ls")


def _value(kind: SecretKind, file: BinaryIO | None) -> Secret:
    """The value from the file, from a stdin that is no terminal, or asked for."""
    if kind is SecretKind.PRIVATE_KEY:
        return _private_key(file)
    if file is None and sys.stdin.isatty():
        asked = click.prompt("Value", hide_input=True, confirmation_prompt="Again", err=True)
        return Secret(asked.encode())
    data = _read(file)
    return Secret(data.removesuffix(b"\n").removesuffix(b"\r"))


def _private_key(file: BinaryIO | None) -> Secret:
    from broker.adapters.ssh_keys import PassphraseNeeded, normal_private_key

    if file is None and sys.stdin.isatty():
        raise Invalid("name the file of the private key", hint="--file id_ed25519")
    value = Secret(_read(file))
    try:
        return normal_private_key(value)
    except PassphraseNeeded:
        if not sys.stdin.isatty():
            raise
        asked = click.prompt("Passphrase of the key", hide_input=True, err=True)
        return normal_private_key(value, asked)


def _read(file: BinaryIO | None) -> bytes:
    return (file or sys.stdin.buffer).read(_MAX_READ)
