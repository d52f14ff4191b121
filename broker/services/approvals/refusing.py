"""Refusals: one answer for a request that does not exist and one that this user may not see."""

from __future__ import annotations

from broker.model import exits
from broker.model.errors import BartizanError


class RequestRefused(BartizanError):
    """What was asked of a request comes to nothing; code and exit status are stable."""

    def __init__(self, code: str, message: str, exit_status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.exit_status = exit_status


def unknown(id: str) -> RequestRefused:
    return RequestRefused(
        "E-UNKNOWN", f"no request {id[:40]!a} here for you", exits.FAILED, "bartizan requests ls"
    )


def refused(message: str, hint: str = "") -> RequestRefused:
    return RequestRefused("E-DENIED", message, exits.DENIED, hint)


def usage(message: str, hint: str = "") -> RequestRefused:
    return RequestRefused("E-USAGE", message, exits.USAGE, hint)


def gone(message: str) -> RequestRefused:
    return RequestRefused("E-GONE", message, exits.FAILED)


def busy(message: str, hint: str = "") -> RequestRefused:
    return RequestRefused("E-BUSY", message, exits.WAITING, hint)
