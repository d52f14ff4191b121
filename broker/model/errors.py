"""What can go wrong, in four kinds. A decision (allowed, denied) is a value, not an exception."""

from __future__ import annotations


class BartizanError(Exception):
    """Something a person has to be told about: one sentence, and where possible what to do next."""

    code = "E-INTERNAL"
    exit_status = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(BartizanError):
    """Input or configuration that cannot be used. `where` names file, line and key as far as known."""

    code = "E-INVALID"
    exit_status = 64

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where


class InvalidConfig(Invalid):
    """A configuration or policy file that is refused as a whole."""

    code = "E-CONFIG"
    exit_status = 78


class Unavailable(BartizanError):
    """A part that is needed does not answer (store, vault, target): what depends on it is closed."""

    code = "E-UNAVAILABLE"
    exit_status = 69


class CannotRecord(BartizanError):
    """The recording cannot be opened or written: nothing may run (fail closed)."""

    code = "E-RECORDING"
    exit_status = 73


class ProtocolViolation(BartizanError):
    """A peer did what the protocol does not permit: it is disconnected and the fact is audited."""

    code = "E-PROTOCOL"
    exit_status = 70
