"""What the verbs that change state need: the store and the vault, and an audit event with each change."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from broker.model.audit import AuditEvent
from broker.ports import AuditStore, HostKeyStore, SecretVault, UserStore

T = TypeVar("T")

_NO_LOGIN = 2**32 - 1
"""The login uid of a process that no login started (a service)."""


class AdminStore(UserStore, HostKeyStore, AuditStore, Protocol):
    """The store as the verbs see it."""

    def together(self, work: Callable[[], T]) -> T:
        """Run `work`; its writes are kept together, or none if it raises."""


class AdminVault(SecretVault, Protocol):
    """The vault as the verbs see it."""

    def create_ca(self) -> str:
        """Make the key of the broker's CA; its public line. Raises Invalid if there is one."""

    def ca_public_line(self) -> str:
        """Raises Unavailable if there is no CA."""


class AdminContext(Protocol):
    """click's `ctx.obj` for these verbs. Both calls give the same objects each time; whoever makes the
    context closes them. The vault keeps its secrets in that store."""

    json: bool

    def open_store(self) -> AdminStore: ...

    def open_vault(self) -> AdminVault: ...


def change(
    store: AdminStore, work: Callable[[], T], code: str, subject: str, **detail: str | int | bool | None
) -> T:
    """Do `work` and append the event that tells of it, both or neither."""

    def both() -> T:
        result = work()
        store.append(AuditEvent(code, now(), actor(), subject, "", {**detail, **_login()}))
        return result

    return store.together(both)


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def actor() -> str:
    """`unix:NAME` of the account this process acts as."""
    return f"unix:{_account(os.geteuid())}"


def _login() -> dict[str, str]:
    """Who logged in before sudo or su, as the kernel keeps it; empty if that is the actor, or unknown."""
    with suppress(OSError, ValueError):
        uid = int(Path("/proc/self/loginuid").read_text())
        if uid not in (_NO_LOGIN, os.geteuid()):
            return {"login": _account(uid)}
    return {}


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
