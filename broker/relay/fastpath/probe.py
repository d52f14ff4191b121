"""What the fast path needs of asyncssh's private parts, in one list, looked for once at import.

asyncssh promises nothing about these names. A release that renames one of them must cost speed, not sessions,
so nothing is overridden or read unless all of it is there. The version range in pyproject.toml guards against
what a list of names cannot see: a name that stayed and changed its meaning.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Needs:
    """One class of asyncssh: methods with their parameters (without `self`), fields set by `__init__`."""

    methods: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()


CONNECTION_FIELDS = (
    "_auth_complete", "_auth_final", "_channels", "_compressor", "_decompressor", "_enc_alg_cs",
    "_enc_alg_sc", "_enc_algs", "_inpbuf", "_client_version", "_kex_complete", "_logger", "_loop",
    "_max_recv_pktlen",
    "_next_recv_encryption", "_recv_encryption", "_recv_handler", "_recv_seq", "_rekey_bytes",
    "_rekey_bytes_sent", "_rekey_seconds", "_rekey_time", "_send_blocksize", "_send_encryption", "_send_seq",
    "_server", "_session_id", "_transport",
)  # fmt: skip

NEEDS: dict[tuple[str, str], Needs] = {
    ("asyncssh.connection", "SSHConnection"): Needs(
        methods={
            "_force_close": ("exc",),
            "_recv_data": (),
            "_recv_packet": (),
            "_recv_pkthdr": (),
            "_send": ("data",),
            "_send_kexinit": (),
            "process_packet": ("pkttype", "pktid", "packet"),
            "add_channel": ("chan",),
            "log_received_packet": ("pkttype", "pktid", "packet", "note"),
            "log_sent_packet": ("pkttype", "pktid", "packet", "note"),
            "send_newkeys": ("k", "h"),
            "send_packet": ("pkttype", "args", "handler"),
        },
        fields=CONNECTION_FIELDS,
    ),
    ("asyncssh.channel", "SSHChannel"): Needs(
        methods={
            "_accept_data": ("data", "datatype"),
            "log_received_packet": ("pkttype", "pktid", "packet", "note"),
            "log_sent_packet": ("pkttype", "pktid", "packet", "note"),
            "write": ("data", "datatype"),
        },
        fields=(
            "_conn", "_logger", "_recv_state", "_recv_window", "_send_buf", "_send_chan", "_send_pktsize",
            "_send_state", "_send_window",
        ),
    ),
    ("asyncssh.encryption", "GCMEncryption"): Needs(
        methods={
            "decrypt_header": ("seq", "first_block", "header_len"),
            "decrypt_packet": ("seq", "first", "rest", "header_len", "mac"),
            "encrypt_packet": ("seq", "header", "packet"),
        },
        fields=("_cipher",),
    ),
    ("asyncssh.encryption", "ChachaEncryption"): Needs(fields=("_cipher",)),
    ("asyncssh.crypto.cipher", "GCMCipher"): Needs(fields=("_key", "_iv")),
    ("asyncssh.crypto.chacha", "ChachaCipher"): Needs(fields=("_key", "_adkey")),
    ("asyncssh.logging", "SSHLogger"): Needs(constants=("_debug_level",)),
}  # fmt: skip


def find_missing() -> tuple[str, ...]:
    """Dotted names of all in `NEEDS` that this asyncssh does not have, or has with other parameters."""
    return tuple(name for (module, cls), needs in NEEDS.items() for name in _missing_of(module, cls, needs))


def missing_fields(conn: object) -> tuple[str, ...]:
    """Fields that a live connection does not carry after all."""
    return tuple(name for name in CONNECTION_FIELDS if name not in conn.__dict__)


def cannot_become(pairs: Iterable[tuple[type, type]]) -> tuple[str, ...]:
    """Of (class, its subclass), the names of classes whose instances Python will not give the subclass to."""
    return tuple(stock.__name__ for stock, fast in pairs if not _can_become(stock, fast))


def _can_become(stock: type, fast: type) -> bool:
    blank: Any = object.__new__(stock)
    try:
        blank.__class__ = fast
    except TypeError:  # "object layout differs"
        return False
    return True


def _missing_of(module: str, name: str, needs: Needs) -> list[str]:
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return [f"{module}.{name}"]
    lost = [f"{name}.{m}" for m, params in needs.methods.items() if _parameters(cls, m) != params]
    # An attribute that __init__ assigns is among the names of its code, without an instance being made.
    assigned = getattr(getattr(cls.__init__, "__code__", None), "co_names", ())
    lost += [f"{name}.{f}" for f in needs.fields if f not in assigned]
    return lost + [f"{name}.{c}" for c in needs.constants if not hasattr(cls, c)]


def _parameters(cls: type, method: str) -> tuple[str, ...] | None:
    function = getattr(cls, method, None)
    return tuple(inspect.signature(function).parameters)[1:] if inspect.isfunction(function) else None
