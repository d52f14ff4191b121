"""What can be reached: a target, and how a session on it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Dialect(StrEnum):
    """The language of the lines typed into a session. NONE: they are not to be read."""

    SHELL = "shell"
    POSTGRES = "postgres"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    PYTHON = "python"
    NONE = "none"


class Channel(StrEnum):
    """A door: what a client asks an SSH session channel (or connection) for."""

    SHELL = "shell"
    EXEC = "exec"
    SFTP = "sftp"
    SCP = "scp"
    FORWARD = "forward"
    AGENT = "agent"
    X11 = "x11"
    SUBSYSTEM = "subsystem"


class CredentialKind(StrEnum):
    """`SECRET`: a stored key or password, by name. `CA`: a certificate made for one connection."""

    SECRET = "secret"  # noqa: S105 - a kind, not a value
    CA = "ca"


class Gate(StrEnum):
    """Whether the lines typed into a shell are held until they were judged. `AUTO`: where a policy that
    grants the session has rules for command lines."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Mode(StrEnum):
    """How much of a shell a session gets. `GUARD`: the user's own, its lines judged where a policy has rules
    for them. `LINE`: lines are edited in the broker, and the shell takes no other. `EXEC_ONLY`: no shell."""

    GUARD = "guard"
    LINE = "line"
    EXEC_ONLY = "exec-only"


class OnDoubt(StrEnum):
    """What becomes of a line that cannot be read for sure. `HOLD` asks those whom the policy names for it and
    refuses where it names nobody; `CONFIRM` asks the user himself."""

    HOLD = "hold"
    CONFIRM = "confirm"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """How the broker logs in on the target. `name` is empty for `CA`."""

    kind: CredentialKind
    name: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A managed host and its accounts, as configured. `start` None: the account's login shell."""

    name: str
    address: str
    port: int
    accounts: tuple[str, ...]
    """First is the default."""
    credential: CredentialRef
    host_keys: tuple[str, ...] = ()
    """Pinned keys from the configuration, `type base64`; enrolled ones are in the store."""
    tags: dict[str, str] = field(default_factory=dict)
    note: str = ""
    start: str | None = None
    """A fixed program instead of the login shell, e.g. `psql -U app shop`."""
    dialect: Dialect = Dialect.SHELL
    gate: Gate = Gate.AUTO
    on_doubt: OnDoubt = OnDoubt.HOLD
    mode: Mode = Mode.GUARD
    readers: frozenset[str] = frozenset()
    """For `LINE`: programs that may read lines of their own, although those are only watched."""
    origin: str = ""
    """`file:line` it was read from."""

    @property
    def gateable(self) -> bool:
        """True if rules for command lines can be enforced in its sessions."""
        return self.gate is not Gate.OFF and self.dialect is not Dialect.NONE
