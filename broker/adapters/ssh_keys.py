"""SSH keys as people bring them: which are taken, and the one form they are stored in."""

from __future__ import annotations

from dataclasses import dataclass

import asyncssh

from broker.model.errors import Invalid
from broker.model.names import checked_text, is_printable
from broker.model.secret import Secret

RSA_MIN_BITS = 2048
_MAX_BYTES = 64 * 1024


_BETTER = "make an ed25519 key: ssh-keygen -t ed25519"
_PUBLIC_TYPES = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
}


class PassphraseNeeded(Invalid):
    """The key is under a passphrase, and none was given."""


def normal_private_key(value: Secret, passphrase: str | None = None) -> Secret:
    """The key in OpenSSH form without passphrase. Raises Invalid, which never tells what `value` holds.

    A key under a passphrase needs it here, once: the vault encrypts it from then on.
    """
    key = _parsed(value.reveal(), passphrase)
    if key.get_algorithm().startswith("sk-"):
        raise Invalid("a key of a security token cannot be used without it", hint=_BETTER)
    _refuse_weak(key)
    return Secret(key.export_private_key("openssh"))


def _parsed(data: bytes, passphrase: str | None) -> asyncssh.SSHKey:
    if len(data) > _MAX_BYTES:
        raise Invalid(f"this is no private key: it has {len(data)} bytes")
    try:
        return asyncssh.import_private_key(data, passphrase)
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if passphrase is not None:
            raise Invalid("the passphrase does not open the key") from None
        if "Passphrase" in str(error):
            raise PassphraseNeeded(
                "the key is protected by a passphrase",
                hint="add it at a terminal, where you are asked for it, or take it off: ssh-keygen -p",
            ) from None
        raise Invalid("this is no private key that can be read (OpenSSH, PEM or PKCS#8)") from None


@dataclass(frozen=True, slots=True)
class PublicLine:
    """A public key: `line` is `type base64`, `fingerprint` as OpenSSH prints it."""

    line: str
    fingerprint: str
    comment: str


def public_line(data: bytes) -> PublicLine:
    """The one public key in the text of a `.pub` file. Raises Invalid, saying what it is instead."""
    if len(data) > _MAX_BYTES:
        raise Invalid(f"this is no public key: it has {len(data)} bytes")
    if b"PRIVATE KEY" in data:
        raise Invalid("this is a private key: keep it to yourself", hint="give the file that ends in .pub")
    text = _decoded(data).strip()
    if text.count("\n"):
        raise Invalid("there is more than one line; give one public key", hint="one call for each key")
    if not is_printable(text):
        raise Invalid("the line of the public key holds control or invisible characters")
    word = text.partition(" ")[0]
    if "-cert-v0" in word:
        raise Invalid(
            "this is a certificate, not a key",
            hint="give the .pub file without -cert, or trust its CA with user_ca_keys in bartizan.yaml",
        )
    try:
        key = asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        raise Invalid(
            "this is no public key in OpenSSH form", hint="the line of a .pub file, without options before it"
        ) from None
    _refuse_weak(key)
    comment = checked_text(key.get_comment(errors="replace") or "", "comment of the key")
    line = " ".join(key.export_public_key("openssh").decode().split()[:2])
    return PublicLine(line, key.get_fingerprint(), comment)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("this is no public key in OpenSSH form: it is not text") from None


def _refuse_weak(key: asyncssh.SSHKey) -> None:
    name = key.get_algorithm()
    if name not in _PUBLIC_TYPES:
        raise Invalid(f"keys of type {name} are not taken", hint=_BETTER)
    if name == "ssh-rsa" and rsa_bits(key) < RSA_MIN_BITS:
        raise Invalid(
            f"an RSA key needs {RSA_MIN_BITS} bits or more; this one has {rsa_bits(key)}", hint=_BETTER
        )


def rsa_bits(key: asyncssh.SSHKey) -> int:
    """Length of the modulus: the third string of the public blob (RFC 4253, 6.6)."""
    blob = key.public_data
    fields: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return int.from_bytes(fields[2], "big").bit_length()
