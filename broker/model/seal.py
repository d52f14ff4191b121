"""Seals of the audit ledger: signed lines, each over the head of the ledger and the seal before it.

A copy of a seal kept elsewhere (an anchor) proves everything that the ledger held when it was made.
"""

from __future__ import annotations

import hashlib

import msgspec

from broker.model.audit import LedgerHead
from recorder.signing import KeyRing, PublicKey, SignatureError, Signer, signed_line, taken_apart

CONTEXT = b"bartizan audit seal 1"
NOTHING = bytes(32)
LONGEST_SEAL = 1 << 16


class SealError(ValueError):
    """A line is no seal that counts; the text says why."""


class Seal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `n`-th seal: at `at` (microseconds since the epoch) the ledger had `seq` events and this head.

    `prev`: SHA-256 of the line of the seal before. `anchored`: by name of the place outside, the newest seal
    that was brought there; named once, in the first seal made afterwards.
    """

    n: int
    seq: int
    head: bytes
    at: int
    prev: bytes
    key: str
    anchored: dict[str, int] = {}

    @property
    def ledger(self) -> LedgerHead:
        return LedgerHead(self.seq, self.head)


def next_seal(
    before: bytes | None, head: LedgerHead, at: int, signer: Signer, anchored: dict[str, int]
) -> bytes:
    """The line of the seal that follows the line `before`. Raises SealError if that is none."""
    number = 0 if before is None else decode_seal(before)[0].n + 1
    prev = NOTHING if before is None else line_hash(before)
    seal = Seal(number, head.seq, head.sha256, at, prev, signer.key, anchored)
    return signed_line(msgspec.json.encode(seal), CONTEXT, signer)


def rotation_statement(before: PublicKey, after: PublicKey) -> bytes:
    """What both keys sign when one takes the other's place."""
    return f"bartizan signing key 1\n{before.line}\n{after.line}".encode()


def line_hash(line: bytes) -> bytes:
    """What the next seal has as `prev`."""
    return hashlib.sha256(line).digest()


def decode_seal(line: bytes) -> tuple[Seal, bytes, bytes]:
    """A seal, what was signed, and the signature, which is not checked here. Raises SealError."""
    try:
        body, signature = taken_apart(line)
        return msgspec.json.decode(body, type=Seal), CONTEXT + b"\n" + body, signature
    except (SignatureError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SealError(str(error)) from None


def check_seal(line: bytes, keys: KeyRing) -> Seal:
    """The seal of a line that one of the keys has signed. Raises SealError."""
    seal, content, signature = decode_seal(line)
    try:
        keys.check(seal.key, signature, content)
    except SignatureError as error:
        raise SealError(str(error)) from None
    return seal
