"""What a login asks for: one parser for every door (`ssh`, `bartizan-shell`, `bartizan open`). Pure.

Forms (ux.md section 5): `ssh bastion` → picker; `ssh target@bastion`, `ssh account+target@bastion`,
`ssh user+account+target@bastion`; `ssh bastion [account+]target [command…]`; `ssh bastion VERB …`.
Command text is passed on byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.gate.shell import channel_of
from broker.model.ids import is_session_id
from broker.model.target import Channel

VERBS_OVER_SSH = frozenset(
    {
        "ls", "sessions", "recordings", "help", "version", "request", "requests", "approvals", "approve",
        "deny", "why",
    }
)  # fmt: skip
"""Verbs that a login may call as `ssh bastion VERB`: those that speak only to the control socket."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One session channel's request. `login`: the SSH user name; `command`: None for a shell."""

    login: str
    command: bytes | None
    terminal: bool


@dataclass(frozen=True, slots=True)
class ToTarget:
    """A session on a target. `account` None: its default."""

    target: str
    account: str | None
    channel: Channel
    command: bytes | None


@dataclass(frozen=True, slots=True)
class ToPicker:
    """No target named."""


@dataclass(frozen=True, slots=True)
class ToVerb:
    """A verb of the command line; `line` is the whole request."""

    line: str


@dataclass(frozen=True, slots=True)
class ToReplay:
    """A recording to play on the login's own terminal: `recordings play ID`."""

    id: str


@dataclass(frozen=True, slots=True)
class ToResume:
    """What a request was for, to be opened once it is approved: `requests resume ID`."""

    id: str


@dataclass(frozen=True, slots=True)
class Nowhere:
    """What was asked is no target's name and no verb."""

    word: str


Route = ToTarget | ToPicker | ToReplay | ToResume | ToVerb | Nowhere


def named_user(login: str, is_user: Callable[[str], bool]) -> str | None:
    """The user that a login name spells out (`user`, `user+…+target`), if it does."""
    first = login.split("+", 1)[0]
    return first if is_user(first) else None


def route(asked: Asked, user: str, is_target: Callable[[str], bool]) -> Route:
    """Where a request of `user` goes."""
    target, account = _from_login(asked.login, user)
    if target is not None and (is_target(target) or "+" in asked.login or not asked.command):
        return _to_target(target, account, asked.command)
    if not asked.command:
        return ToPicker()
    # A login name that is nothing here is the client's own account name, which ssh sends unasked.
    return _from_command(asked.command, is_target)


def _from_login(login: str, user: str) -> tuple[str | None, str | None]:
    """(target, account) of a login name; (None, None) where it names only the user."""
    parts = login.split("+")
    if len(parts) > 1 and parts[0] == user:
        parts = parts[1:]
    if len(parts) == 1:
        return (None, None) if parts[0] == user else (parts[0], None)
    return parts[-1], "+".join(parts[:-1])


def _from_command(command: bytes, is_target: Callable[[str], bool]) -> Route:
    text = command.decode("utf-8", "surrogateescape")
    first, _, _ = text.partition(" ")
    if first in VERBS_OVER_SSH:
        words = text.split()
        if words[:2] == ["requests", "resume"] and len(words) == 3 and not words[2].startswith("-"):
            return ToResume(words[2])
        is_play = words[:2] == ["recordings", "play"] and len(words) == 3 and is_session_id(words[2])
        return ToReplay(words[2]) if is_play else ToVerb(text)
    forced = first == "--"
    rest = command[3:] if forced else command
    word, _, remote = rest.partition(b" ")
    name = word.decode("utf-8", "surrogateescape")
    account, plus, target = name.rpartition("+")
    if not is_target(target):
        return Nowhere(name)
    return _to_target(target, account if plus else None, remote.lstrip(b" "))


def _to_target(target: str, account: str | None, command: bytes | None) -> ToTarget:
    if not command:
        return ToTarget(target, account, Channel.SHELL, None)
    return ToTarget(target, account, channel_of(command), command)
