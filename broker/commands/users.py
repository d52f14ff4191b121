"""`bartizan users`: who may log in."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import click

from broker.commands.admin import AdminContext, AdminStore, change, now
from broker.commands.keys import KEY_FILE, read_key, store_key
from broker.commands.listing import Row, done, moment, show
from broker.model.errors import Invalid
from broker.model.identity import Kind, User
from broker.model.names import checked_name, checked_text


@click.group()
def users() -> None:
    """Add, list and lock the users of the broker.

    Example: bartizan users add anne --group ops --key anne.pub
    """


@users.command()
@click.argument("name")
@click.option("--group", "groups", multiple=True, metavar="G", help="A group; may be given again.")
@click.option("--admin", is_flag=True, help="May administer the broker.")
@click.option("--agent", is_flag=True, help="A machine identity: a CI job, an AI agent, a service.")
@click.option("--unix-user", metavar="U", help="The account of this host that stands for the user.")
@click.option("--person", metavar="P", help="Who is behind it: of several accounts, or an agent's owner.")
@click.option("--key", "key_file", type=KEY_FILE, help="Public key file to add at once; - is stdin.")
@click.pass_obj
def add(
    context: AdminContext,
    name: str,
    groups: tuple[str, ...],
    admin: bool,
    agent: bool,
    unix_user: str | None,
    person: str | None,
    key_file: BinaryIO | None,
) -> None:
    """Add the user NAME.

    Example: bartizan users add ci-deploy --agent --group deploy --key - < ci.pub
    """
    user = User(
        name=checked_name(name, "user"),
        kind=Kind.AGENT if agent else Kind.HUMAN,
        groups=frozenset(checked_name(group, "group") for group in groups),
        admin=admin,
        created_at=now(),
        unix_user=_unix_name(unix_user) if unix_user is not None else None,
        person=checked_name(person, "person") if person is not None else None,
    )
    if admin and agent:
        raise Invalid("an agent cannot be an administrator", hint="leave out --admin or --agent")
    key = read_key(name, key_file) if key_file is not None else None
    store = context.open_store()

    def work() -> None:
        detail = {"kind": user.kind.value, "groups": ",".join(sorted(groups)), "admin": admin}
        change(
            store,
            lambda: store.add_user(user),
            "users.added",
            name,
            unix_user=unix_user,
            person=person,
            **detail,
        )
        if key is not None:
            store_key(store, key)

    store.together(work)
    done(f"added the user {name}", _row(user, store), as_json=context.json)


@users.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def ls(context: AdminContext, as_json: bool) -> None:
    """List the users.

    Example: bartizan users ls --json
    """
    store = context.open_store()
    show([_row(user, store) for user in store.users()], as_json=as_json or context.json)


@users.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the audit.")
@click.pass_obj
def lock(context: AdminContext, name: str, reason: str) -> None:
    """Keep the user NAME from logging in and from opening sessions.

    Example: bartizan users lock anne --reason "left the company"
    """
    store = context.open_store()
    _set_lock(context, lambda: store.set_locked(name, now()), "locked", name, reason)


@users.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the audit.")
@click.pass_obj
def unlock(context: AdminContext, name: str, reason: str) -> None:
    """Let the user NAME log in again.

    Example: bartizan users unlock anne
    """
    store = context.open_store()
    _set_lock(context, lambda: store.set_locked(name, None), "unlocked", name, reason)


@users.command()
@click.argument("name")
@click.argument("person", required=False)
@click.pass_obj
def person(context: AdminContext, name: str, person: str | None) -> None:
    """Say who is behind the account NAME; without PERSON: nobody but itself.

    Accounts of one person count as one: he cannot approve with one what he asked for with the other.

    Example: bartizan users person bob-admin bob
    """
    checked_name(name, "user")
    who = checked_name(person, "person") if person else None
    store = context.open_store()
    change(store, lambda: store.set_person(name, who), "users.person", name, person=who)
    done(f"{name} is {who or name}", {"name": name, "person": who}, as_json=context.json)


def _set_lock(context: AdminContext, work: Callable[[], None], what: str, name: str, reason: str) -> None:
    checked_name(name, "user")
    checked_text(reason, "reason")
    change(context.open_store(), work, f"users.{what}", name, reason=reason)
    done(f"{what} the user {name}", {"name": name, "locked": what == "locked"}, as_json=context.json)


def _row(user: User, store: AdminStore) -> Row:
    return {
        "name": user.name,
        "kind": user.kind.value,
        "admin": user.admin,
        "groups": sorted(user.groups),
        "keys": len(store.keys(user.name)),
        "unix_user": user.unix_user,
        "person": user.person,
        "locked_at": moment(user.locked_at),
        "created_at": moment(user.created_at),
    }


def _unix_name(text: str) -> str:
    """Account names follow the host's rules, not ours; only what no /etc/passwd can hold is refused."""
    if not checked_text(text, "unix user") or set(text) & set(" :/,\t"):
        raise Invalid(f"{text[:80]!a} is not the name of an account")
    return text
