"""The broker's certificate authority: a key pair per connection, signed for one account and two minutes.

The format is OpenSSH's PROTOCOL.certkeys. sshd looks at the validity while it authenticates, so the
short time bounds the login alone, not the session.
"""

from __future__ import annotations

import re
import secrets

import asyncssh

from broker.model.access import Grant
from broker.model.errors import Unavailable
from broker.model.secret import Credential, Secret, SecretKind

BEFORE_S = 60
"""For a target whose clock is behind."""
AFTER_S = 120

_KEY_ID_MAX = 128


def generate_ca() -> Secret:
    """A new CA key, ed25519, in OpenSSH form."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="bartizan CA")
    return Secret(key.export_private_key("openssh"))


def ca_public_line(ca: Secret) -> str:
    """What sshd's `TrustedUserCAKeys` file takes: one line, without its end."""
    return _signer(ca).export_public_key("openssh").decode().strip()


def issue(ca: Secret, grant: Grant, now: int) -> Credential:
    """A fresh key and its certificate for this grant. `now`: microseconds since the epoch.

    It permits a terminal and nothing else: no forwarding of ports, agent or X11, no user rc.
    """
    if not grant.account:
        raise Unavailable("a certificate needs an account to be for")
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = _signer(ca).generate_user_certificate(
        key,
        key_id(grant.who.principal.name, grant.target.name),
        serial=secrets.randbits(64),
        principals=[grant.account],
        valid_after=now // 1_000_000 - BEFORE_S,
        valid_before=now // 1_000_000 + AFTER_S,
        permit_x11_forwarding=False,
        permit_agent_forwarding=False,
        permit_port_forwarding=False,
        permit_user_rc=False,
        permit_pty=True,
    )
    return Credential(
        SecretKind.PRIVATE_KEY,
        Secret(key.export_private_key("openssh")),
        certificate.export_certificate("openssh").strip(),
    )


def key_id(user: str, target: str) -> str:
    """What sshd logs of the certificate: plain characters only, as it ends up in logs of many kinds."""
    plain = (re.sub(r"[^A-Za-z0-9._@-]", "_", part) for part in (user, target))
    return ":".join(("bartizan", *plain))[:_KEY_ID_MAX]


def _signer(ca: Secret) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(ca.reveal())
    except asyncssh.KeyImportError:
        raise Unavailable(
            "the key of the broker's CA cannot be read", hint="bartizan secrets ca init"
        ) from None
