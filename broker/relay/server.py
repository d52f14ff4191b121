"""The SSH server: asyncssh's callbacks, turned into logins and session channels.

Before a login nothing is done for the peer but to count it and to answer whether a key may try. Forwarding in
either direction, agent, X11, tunnels and unknown requests are refused and noted, by the one table of what is
permitted: a session channel with a shell or a command (lessons 8 to 10, 24).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncssh
import structlog
from asyncssh import SSHKey, SSHServerConnection
from asyncssh.public_key import SSHOpenSSHCertificate

from broker.model.errors import BartizanError
from broker.model.identity import Authenticated, User
from broker.ports import Clock
from broker.relay import usercert
from broker.relay.admission import Admission
from broker.relay.channel import SshClient, session_channel
from broker.relay.door import Door
from broker.relay.fastpath import FastServerConnection, accelerate
from broker.services.audit import AuditTrail
from broker.services.login import LoginService, Refused
from broker.services.route import Asked, named_user
from broker.services.tasks import Tasks

log = structlog.get_logger()

MAX_OFFERS = 30
"""Keys that one connection may offer: as many as an agent may hold, far fewer than a guesser needs."""
MAX_REFUSALS = 100
"""Refused requests of one connection that are noted in the audit."""
MAX_CHANNELS = 100
"""Open sessions on one connection (ControlMaster)."""
USERAUTH_ALGORITHMS = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)


@dataclass(frozen=True, slots=True)
class Front:
    """What every connection needs."""

    login: LoginService
    trail: AuditTrail
    admission: Admission
    door: Door
    clock: Clock
    tasks: Tasks
    accept_env: Sequence[str]
    user_cas: frozenset[str]
    """Fingerprints of the CAs whose user certificates are taken."""
    is_user: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the peer offered last and may prove: a key, or the principals of a checked certificate."""

    login: str
    fingerprint: str
    principals: tuple[str, ...] = ()
    credential: str = ""


if TYPE_CHECKING:
    _Connection = SSHServerConnection
else:
    _Connection = object


class _CertificateLogin(_Connection):
    """Lets the broker itself judge user certificates: asyncssh would compare their principals with the login
    name, which here names a target."""

    async def _validate_openssh_certificate(
        self, username: str, cert: SSHOpenSSHCertificate
    ) -> SSHKey | None:
        owner = self._owner
        assert isinstance(owner, BrokerServer)
        return owner.validate_certificate(username, cert)


class StockConnection(_CertificateLogin, SSHServerConnection):
    """A connection that asyncssh runs unaided."""


class FastConnection(_CertificateLogin, FastServerConnection):
    """A connection of the fast path."""


class BrokerServer(asyncssh.SSHServer):
    """One connection of a user."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._conn: SSHServerConnection
        self._address = ""
        self._login = ""
        self._admitted = False
        self._tried = False
        self._offers = 0
        self._channels = 0
        self._refusals = 0
        self._proof: _Proof | None = None
        self._reasons: dict[str, str] = {}
        """Why attempts came to nothing, with the user that each was about."""
        self._who: Authenticated | None = None
        self._login_settled = asyncio.Event()

    # ------------------------------------------------------------ connection

    def connection_made(self, conn: SSHServerConnection) -> None:
        accelerate(conn)
        conn.__class__ = FastConnection if type(conn) is FastServerConnection else StockConnection
        self._conn = conn
        peer = conn.get_extra_info("peername")
        self._address = peer[0] if peer else "unknown"
        why = self._front.admission.arrive(self._address, self._front.clock.monotonic())
        if why is None:
            self._admitted = True
            return
        log.warning("connection.refused", address=self._address, reason=why)
        conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._admitted:
            return
        failed = self._who is None and self._tried
        self._front.admission.leave(
            self._address, self._who is not None, self._front.clock.monotonic(), failed=failed
        )
        if failed:
            refused = self._front.login.refused(self._why(), self._login, self._address)
            self._front.tasks.spawn(refused, "login-refused")

    # ------------------------------------------------------------ login

    def begin_auth(self, username: str) -> bool:
        """A (new) login name: nothing of an attempt under another name remains (lesson 2)."""
        self._tried = True
        self._login = username
        self._proof = None
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: SSHKey) -> bool:
        """May this key try? Called for a mere offer too, so it proves nothing by itself (lesson 1)."""
        self._proof = None
        if not self._may_offer():
            return False
        fingerprint = key.get_fingerprint()
        user = self._front.login.may_try(fingerprint, self._named(username))
        return self._note(user, _Proof(username, fingerprint))

    def validate_certificate(self, username: str, cert: SSHOpenSSHCertificate) -> SSHKey | None:
        """The key that has to sign, if the certificate is good and names a user."""
        self._proof = None
        if not self._may_offer():
            return None
        try:
            principals = usercert.check_user_certificate(
                cert, self._front.user_cas, self._address, self._front.clock.now()
            )
        except usercert.Refused as exc:
            self._turn_down(Refused(f"certificate: {exc.reason}"))
            return None
        proof = _Proof(username, "", tuple(principals), usercert.describe(cert))
        user = self._front.login.may_try_certificate(principals)
        if isinstance(user, User) and (named := self._named(username)) not in (None, user.name):
            user = Refused(f"the certificate is {user.name}'s, the login names {named}", user.name)
        return cert.key if self._note(user, proof) else None

    def _may_offer(self) -> bool:
        self._offers += 1
        if self._offers > MAX_OFFERS:
            self._turn_down(Refused("too many keys offered"))
            self._conn.abort()
            return False
        return True

    def _note(self, user: User | Refused, proof: _Proof) -> bool:
        if isinstance(user, Refused):
            self._turn_down(user)
            return False
        self._proof = proof
        self._turn_down(Refused("the key was offered but its possession not proved", user.name))
        return True

    def _turn_down(self, why: Refused) -> None:
        if len(self._reasons) < MAX_OFFERS:
            self._reasons[why.reason] = why.user

    def _why(self) -> Refused:
        """All reasons in one: a client tries several keys, and a bad certificate before its plain key."""
        users = [user for user in self._reasons.values() if user]
        return Refused("; ".join(self._reasons) or "no key was offered", users[-1] if users else "")

    def _named(self, username: str) -> str | None:
        return named_user(username, self._front.is_user)

    async def auth_completed(self) -> None:
        """The signature by what was offered last has been verified: now it is a login."""
        proof = self._proof
        who: Authenticated | Refused = Refused("a login without a proof")
        if proof is not None and proof.login == self._conn.get_extra_info("username"):
            try:
                who = await self._accept(proof)
            except BartizanError as exc:
                who = Refused(exc.message)
        if isinstance(who, Refused):
            self._turn_down(who)
            self._conn.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Permission denied")
        else:
            self._who = who
            self._front.admission.authenticated(self._address)
        self._login_settled.set()

    async def _accept(self, proof: _Proof) -> Authenticated | Refused:
        login = self._front.login
        if proof.principals:
            return await login.by_certificate(list(proof.principals), proof.credential, self._address)
        return await login.by_key(proof.fingerprint, self._named(proof.login), self._address)

    # ------------------------------------------------------------ what is asked for

    def session_requested(self) -> Any:
        if self._channels >= MAX_CHANNELS:
            return False
        self._channels += 1
        return session_channel(self._conn), self._session()

    async def _session(self) -> SshClient:
        """A client may ask for its channel while its login is still being noted; nothing opens before."""
        await self._login_settled.wait()
        if self._who is None:
            self._channels -= 1
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "not logged in")
        client = SshClient(self._start, self._front.accept_env)
        client.left.add_done_callback(lambda _: self._channel_done())
        return client

    def _start(self, client: SshClient, command: bytes | None) -> None:
        assert self._who is not None, "asyncssh opens no channel before the login"
        asked = Asked(self._login, command, client.terminal is not None)
        self._front.tasks.spawn(self._front.door.serve(self._who, client, asked), "login")

    def _channel_done(self) -> None:
        self._channels -= 1

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return self._refuse("direct-tcpip", f"{dest_host}:{dest_port}")

    def unix_connection_requested(self, dest_path: str) -> bool:
        return self._refuse("direct-streamlocal", dest_path)

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        return self._refuse("tcpip-forward", f"{listen_host}:{listen_port}")

    def unix_server_requested(self, listen_path: str) -> bool:
        return self._refuse("streamlocal-forward", listen_path)

    def tun_requested(self, unit: int | None) -> bool:
        return self._refuse("tun", str(unit))

    def tap_requested(self, unit: int | None) -> bool:
        return self._refuse("tap", str(unit))

    def _refuse(self, name: str, detail: str) -> bool:
        """Note it; what one connection asks for over and over is noted so often and no more."""
        self._refusals += 1
        if self._refusals > MAX_REFUSALS:
            return False
        self._front.tasks.spawn(self._note_refusal(name, detail), "request-refused")
        return False

    async def _note_refusal(self, name: str, detail: str) -> None:
        """A client may ask while its login is still being noted: who it is stands only after that."""
        await self._login_settled.wait()
        who = self._who.principal.name if self._who else "-"
        await self._front.trail.note("request.refused", who, name, detail=detail[:300])


async def listen(
    front: Front,
    address: str,
    port: int,
    host_keys: Sequence[SSHKey],
    *,
    login_timeout: float,
    keepalive: float,
) -> asyncssh.SSHAcceptor:
    """Open the port. Raises OSError."""
    return await asyncssh.listen(
        address,
        port,
        server_factory=lambda: BrokerServer(front),
        server_host_keys=list(host_keys),
        server_version="bartizan",
        encoding=None,
        line_editor=False,
        allow_scp=False,
        x11_forwarding=False,
        agent_forwarding=False,
        gss_host=None,
        config=None,
        signature_algs=USERAUTH_ALGORITHMS,
        login_timeout=login_timeout,
        keepalive_interval=keepalive or None,
        window=2 << 20,
        max_pktsize=32 << 10,
        backlog=1000,
    )
