"""The real OpenSSH client, without the configuration, agent and known hosts of whoever runs the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.world.process import HOST, PATIENCE, clean_env
from tests.world.terminal import Pty


@dataclass(frozen=True, slots=True)
class SshClient:
    """`ssh` as one person with one key would call it against one server on the loopback interface."""

    port: int
    login: str
    """The name before the `@`; with the broker, also a target or `account+target`."""
    key: Path | None
    """None: no key is offered."""
    home: Path
    """Where its known_hosts is kept."""
    trust: str = "accept-new"
    """StrictHostKeyChecking; `yes` once the server's key was written with `know`."""
    options: tuple[str, ...] = ()
    """More arguments, e.g. `("-o", "Ciphers=aes128-gcm@openssh.com")`."""

    @property
    def known_hosts(self) -> Path:
        return self.home / "known_hosts"

    def know(self, host_keys: Sequence[str]) -> SshClient:
        """Write the server's keys (`type base64`) to known_hosts; the client returned accepts no others."""
        name = f"[{HOST}]:{self.port}"
        self.known_hosts.write_text("".join(f"{name} {key}\n" for key in host_keys))
        return replace(self, trust="yes")

    def as_login(self, login: str) -> SshClient:
        """The same person and key under another login name."""
        return replace(self, login=login)

    def argv(self, *command: str, options: Sequence[str] = ()) -> list[str]:
        """The whole command line. `options` come last: ssh takes the first value, so the fixed ones stand."""
        fixed = {
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "GlobalKnownHostsFile": "none",
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": self.trust,
            "LogLevel": "ERROR",
        }
        settings = [word for key, value in fixed.items() for word in ("-o", f"{key}={value}")]
        identity = ["-i", str(self.key)] if self.key else ["-o", "IdentityFile=none"]
        place = ["-p", str(self.port), "-l", self.login]
        return [
            "ssh",
            "-F",
            "none",
            *settings,
            *identity,
            *place,
            *self.options,
            *options,
            "--",
            HOST,
            *command,
        ]

    def run(
        self, *command: str, input: bytes = b"", timeout: float = 2 * PATIENCE, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        """Without a terminal, to its end; asks nobody for anything (BatchMode)."""
        argv = self.argv(*command, options=("-o", "BatchMode=yes", *options))
        env = clean_env(self.home)
        return subprocess.run(argv, input=input, capture_output=True, timeout=timeout, env=env, check=False)

    def start(self, *command: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Without a terminal, in the background, with pipes; the caller ends it."""
        argv = self.argv(*command, options=("-o", "BatchMode=yes", *options))
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=clean_env(self.home))

    def pty(
        self,
        *command: str,
        size: tuple[int, int] = (24, 80),
        term: str = "xterm-256color",
        options: Sequence[str] = (),
    ) -> Pty:
        """On a terminal of `size` (rows, columns); a command gets one too (`-tt`). Escapes are off."""
        argv = self.argv(*command, options=("-tt", "-e", "none", *options))
        return Pty(argv, env=clean_env(self.home, TERM=term), size=size)
