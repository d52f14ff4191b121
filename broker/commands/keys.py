"""`bartizan keys`: the public keys that users log in with."""

from __future__ import annotations

from typing import BinaryIO

import click

from broker.commands.admin import AdminContext, AdminStore, change, now
from broker.commands.listing import Row, done, moment, show
from broker.model.errors import Invalid
from broker.model.identity import PublicKey
from broker.model.names import checked_name

KEY_FILE = click.File("rb")
_MAX_READ = 128 * 1024


@click.group()
def keys() -> None:
    """Add, list and remove the public keys of users.

    Example: bartizan keys add anne ~/.ssh/id_ed25519.pub
    """


@keys.command()
@click.argument("user")
@click.argument("file", type=KEY_FILE)
@click.pass_obj
def add(context: AdminContext, user: str, file: BinaryIO) -> None:
    """Let USER log in with the public key in FILE (- is stdin).

    Example: ssh-add -L | head -1 | bartizan keys add anne -
    """
    key = read_key(checked_name(user, "user"), file)
    store_key(context.open_store(), key)
    done(f"added the key {key.fingerprint} for {user}", _row(key), as_json=context.json)


@keys.command()
@click.argument("user", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def ls(context: AdminContext, user: str | None, as_json: bool) -> None:
    """List the keys of USER, or of all users.

    Example: bartizan keys ls anne
    """
    store = context.open_store()
    if user is not None and store.user(user) is None:
        raise Invalid(f"there is no user {user[:80]!a}", hint="bartizan users ls")
    show([_row(key) for key in store.keys(user)], as_json=as_json or context.json)


@keys.command()
@click.argument("fingerprint")
@click.pass_obj
def rm(context: AdminContext, fingerprint: str) -> None:
    """Remove the key of that FINGERPRINT: nobody can log in with it from now on.

    Example: bartizan keys rm SHA256:0Qf5Z1uYlQy3n7bq8nQm0pN1cX2vB4kJ6hG8fD9sA0w
    """
    store = context.open_store()
    key = store.key(fingerprint)
    if key is None:
        raise Invalid(f"there is no key {fingerprint[:80]!a}", hint="bartizan keys ls shows the fingerprints")
    change(store, lambda: store.remove_key(fingerprint), "keys.removed", key.user, fingerprint=fingerprint)
    done(f"removed the key {fingerprint} of {key.user}", _row(key), as_json=context.json)


def read_key(user: str, file: BinaryIO) -> PublicKey:
    """The public key in a file, for a user. Raises Invalid."""
    from broker.adapters.ssh_keys import public_line

    read = public_line(file.read(_MAX_READ))
    return PublicKey(read.fingerprint, user, read.line, read.comment, now())


def store_key(store: AdminStore, key: PublicKey) -> None:
    """Bind a key to its user, with its audit event. Raises Invalid."""
    bound = store.key(key.fingerprint)
    if bound is not None:
        raise Invalid(f"the key {key.fingerprint} is bound to {bound.user} already: a key names one user")
    change(store, lambda: store.add_key(key), "keys.added", key.user, fingerprint=key.fingerprint)


def _row(key: PublicKey) -> Row:
    return {
        "fingerprint": key.fingerprint,
        "user": key.user,
        "type": key.line.partition(" ")[0],
        "comment": key.comment,
        "added_at": moment(key.added_at),
        "last_used_at": moment(key.last_used_at),
    }
