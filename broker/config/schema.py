"""The keys of `bartizan.yaml`, their types and defaults. Durations are seconds, sizes bytes."""

from __future__ import annotations

import fnmatch
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StrictInt, model_validator

from broker.config.approvals import Approvals, Notifiers
from broker.config.units import (
    Count,
    Duration,
    DurationOrNever,
    EnvName,
    FilePath,
    Mode,
    Size,
    SyslogAddress,
    Text,
    Url,
    matching,
)
from broker.config.validate import Section

CODE_LOADING_ENV = (
    "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS",
    "PS4", "PROMPT_COMMAND", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYOPT", "NODE_OPTIONS",
    "GIT_SSH_COMMAND", "HOME", "SHELL", "SSH_AUTH_SOCK",
)  # fmt: skip
"""Variables that change which code runs: no entry of `accept_env` may let one through (lesson 25)."""


class Ui(StrEnum):
    """What a login without a target gets; `AUTO`: the TUI where the terminal can show it."""

    AUTO = "auto"
    TUI = "tui"
    PLAIN = "plain"


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Listen(Section):
    """Where SSH clients connect. Port 0 takes a free one (tests, the demo)."""

    address: Text = "0.0.0.0"  # noqa: S104 - a bastion serves its network; narrow it in the file
    port: Annotated[StrictInt, Field(ge=0, le=65535)] = 2222


class Control(Section):
    """The control socket. Anyone may connect by default: peer credentials say who it is."""

    socket: FilePath = Path("/run/bartizan/control.sock")
    mode: Mode = 0o666


class Login(Section):
    """Bounds for those who have not proved who they are."""

    timeout: Duration = 30.0
    max_starts: Count = 200
    """Unauthenticated connections at once, over all sources."""
    max_starts_per_source: Count = 100
    max_failures_per_source: Count = 20
    """Failed logins of one source within `failure_window`, after which it is refused."""
    failure_window: Duration = 600.0
    max_connections_per_source: Count = 1000


class Sessions(Section):
    """Bounds of a session; a policy's `limits` may narrow the first two."""

    idle_timeout: DurationOrNever = 3600.0
    max_time: DurationOrNever = 43200.0
    keepalive: Duration = 30.0
    max_sessions: Count = 1000
    drain: Duration = 10.0
    """How long sessions may go on after a stop was asked for."""


class Recording(Section):
    dir: FilePath | None = None
    exec_keep: Size = 64 << 20
    """Output of one exec session that is kept; what goes beyond is passed on and counted."""
    fsync: Annotated[Duration, Field(le=60.0)] = 1.0
    """How often recordings are forced to the disk and signed: what is lost if the power goes."""
    anchor: Duration = 600.0
    """How often the head of a live recording goes into the audit."""


CredentialName = Annotated[
    str, AfterValidator(matching(r"[A-Za-z0-9._-]{1,255}", "the name of a systemd credential"))
]


class KeySource(Section):
    """Where a master key is read from: exactly one of the three."""

    file: FilePath | None = None
    env: EnvName | None = None
    credential: CredentialName | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected exactly one of file, env, credential")
        return self


class Vault(Section):
    """Without a master key no secret can be stored or used; certificates of the broker's CA likewise."""

    master_key: KeySource | None = None
    previous: tuple[KeySource, ...] = ()
    """Older master keys that may still open what was wrapped with them."""


class Signing(Section):
    """The key that recordings and the audit are signed with. It belongs outside the data folder."""

    key: KeySource = Field(default={"file": Path("signing.key")}, validate_default=True)


class AnchorPlace(Section):
    """Where copies of the audit's seals go: exactly one of `file`, `syslog`, `http`."""

    file: FilePath | None = None
    syslog: SyslogAddress | None = None
    http: Url | None = None
    token_file: FilePath | None = None
    """With `http`: a file whose text is sent as a bearer token."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set - {"token_file"}) != 1:
            raise ValueError("expected exactly one of file, syslog, http")
        if self.token_file is not None and self.http is None:
            raise ValueError("token_file goes with http only")
        return self


class Anchors(Section):
    """Without a place, who can write the data folder can cut the end off the audit unseen."""

    every: Duration = 60.0
    to: tuple[AnchorPlace, ...] = ()


class Portal(Section):
    user: Text = "nobody"
    """The account that the TUI runs as when the broker runs as root."""
    ui: Ui = Ui.AUTO


def _safe_env(pattern: str) -> str:
    for name in CODE_LOADING_ENV:
        if fnmatch.fnmatchcase(name, pattern):
            raise ValueError(f"would let {name} through, which changes what a session runs")
    return pattern


EnvPattern = Annotated[
    str,
    AfterValidator(matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}\*?", "a variable's name, or a prefix with *")),
    AfterValidator(_safe_env),
]


class Log(Section):
    format: LogFormat = LogFormat.JSON
    level: LogLevel = LogLevel.INFO


def _below_data(name: str) -> Any:
    return Field(default_factory=lambda values: values["data"] / name)


class Config(Section):
    """The broker's configuration. Relative paths have been resolved from the folder of the file."""

    listen: Listen = Listen()
    data: FilePath = Path("/var/lib/bartizan")
    host_key: FilePath = _below_data("ssh_host_ed25519_key")
    """Generated with mode 0600 if it does not exist."""
    targets: FilePath = Field(default=Path("targets"), validate_default=True)
    policies: FilePath = Field(default=Path("policies"), validate_default=True)
    on_call: FilePath = Field(default=Path("on-call.yaml"), validate_default=True)
    """Who is on call, by list; read again whenever it has changed. It need not exist."""
    control: Control = Control()
    user_ca_keys: tuple[FilePath, ...] = ()
    """Files with public keys of CAs whose user certificates are accepted."""
    login: Login = Login()
    sessions: Sessions = Sessions()
    recording: Recording = Recording()
    vault: Vault = Vault()
    signing: Signing = Field(default={}, validate_default=True)
    anchors: Anchors = Anchors()
    portal: Portal = Portal()
    approvals: Approvals = Approvals()
    notifiers: Notifiers = ()
    accept_env: tuple[EnvPattern, ...] = ("LANG", "LC_*", "NO_COLOR", "COLORTERM", "BARTIZAN_*")
    log: Log = Log()

    @model_validator(mode="after")
    def _key_apart(self) -> Self:
        path = self.signing.key.file
        for name, folder in (("data", self.data), ("recording.dir", self.recordings)):
            if path is not None and path.absolute().is_relative_to(folder.absolute()):
                raise ValueError(
                    f"signing.key.file: {path} lies below {name}: keep it apart from what it signs"
                )
        return self

    def is_set(self, key: str) -> bool:
        """True if the file names the key, so that what it points at has to exist."""
        return key in self.model_fields_set

    @property
    def recordings(self) -> Path:
        """The folder of the recordings."""
        return self.recording.dir or self.data / "recordings"
