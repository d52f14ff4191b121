"""Login: from a proof of possession to `Authenticated`, the one place where that value is made.

A public-key *offer* is only ever answered here with "such a key may try"; nothing counts as a login before
the SSH layer has verified a signature and calls `by_key` or `by_certificate` (lesson 1).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from broker.model.identity import Authenticated, Principal, Source, User
from broker.ports import Clock, UserStore
from broker.services.audit import AuditTrail


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a login was refused; for the audit only, the answer to the peer is always the same."""

    reason: str
    user: str = ""


class LoginService:
    """Answers the SSH layer and the control socket; keeps no state between attempts (lesson 2)."""

    def __init__(self, users: UserStore, trail: AuditTrail, clock: Clock) -> None:
        self._users = users
        self._trail = trail
        self._clock = clock

    def may_try(self, fingerprint: str, named: str | None) -> User | Refused:
        """Whose login this key could be. `named`: the user that the login name spells out, if it does."""
        key = self._users.key(fingerprint)
        if key is None:
            return Refused("unknown key")
        user = self._users.user(key.user)
        if user is None or user.locked_at is not None:
            return Refused("user is locked or gone", key.user)
        if named is not None and named != user.name and self._users.user(named) is not None:
            return Refused("the key belongs to another user than the login names", key.user)
        return user

    def may_try_certificate(self, principals: list[str]) -> User | Refused:
        """Whose login a valid user certificate could be: its one principal that is a user here."""
        known = [user for name in principals if (user := self._users.user(name)) is not None]
        if len(known) != 1:
            return Refused("the certificate names no single user: " + ", ".join(principals)[:200])
        if known[0].locked_at is not None:
            return Refused("user is locked", known[0].name)
        return known[0]

    async def by_key(self, fingerprint: str, named: str | None, address: str) -> Authenticated | Refused:
        """The signature of this key was verified."""
        user = self.may_try(fingerprint, named)
        if isinstance(user, Refused):
            return user
        await asyncio.to_thread(self._users.touch_key, fingerprint, self._clock.now())
        return await self._accept(user, Source(address, "publickey", fingerprint))

    async def by_certificate(
        self, principals: list[str], credential: str, address: str
    ) -> Authenticated | Refused:
        """The signature of this certificate's key was verified. `credential`: its serial and CA."""
        user = self.may_try_certificate(principals)
        if isinstance(user, Refused):
            return user
        return await self._accept(user, Source(address, "certificate", credential))

    async def by_peer(self, unix_user: str, uid: int) -> Authenticated | Refused:
        """The kernel vouches for the account at the other end of a Unix socket."""
        user = self._users.user_by_unix(unix_user)
        if user is None or user.locked_at is not None:
            return Refused("no such user, or locked", unix_user)
        return await self._accept(user, Source("local", "local", f"uid {uid}"))

    def operator(self, unix_user: str, uid: int) -> Authenticated:
        """Root, or the broker's own account, on the control socket: not a user, and opens no session."""
        principal = Principal(f"({unix_user})", admin=True)
        return Authenticated(principal, Source("local", "local", f"uid {uid}"), self._clock.now())

    async def refused(self, why: Refused, login: str, address: str) -> None:
        """Note a login that came to nothing."""
        await self._trail.note(
            "login.refused", why.user or "-", login[:200], address=address, reason=why.reason
        )

    async def _accept(self, user: User, source: Source) -> Authenticated:
        await self._trail.note(
            "login.accepted",
            user.name,
            address=source.address,
            method=source.method,
            credential=source.credential,
        )
        return Authenticated(user.principal(), source, self._clock.now())
