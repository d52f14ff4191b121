"""A real OpenSSH server with its own configuration, keys and log, as root or as a plain user."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.world.client import SshClient
from tests.world.homes import furnish
from tests.world.keys import KeyPair, make_key
from tests.world.process import HOST, Child, clean_env, free_port

_SEPARATION = Path("/run/sshd")
"""sshd of root refuses to start without this folder; a system that has not booted sshd lacks it."""

_LOCALE = "LANG=C.UTF-8"


def sshd_program() -> str:
    """Its absolute path, which sshd needs in order to start itself again per connection."""
    path = shutil.which("sshd", path=clean_env(Path("/"))["PATH"])
    assert path, "sshd is not installed: run ./dev setup"
    return path


class Sshd:
    """Public keys only. The runner of the tests logs in with a furnished home of its own (`home`).

    As root it also takes throw-away accounts (see `Accounts`), each in its own home and shell.
    """

    def __init__(
        self,
        place: Path,
        *,
        authorized: Sequence[str] = (),
        user_cas: Sequence[str] = (),
        host_key_kinds: Sequence[str] = ("ed25519",),
        shell: str | None = None,
        settings: str = "",
        matches: str = "",
    ) -> None:
        """`place`: a folder of its own that every user may enter. `authorized`: public keys for any account.
        `user_cas`: keys whose certificates are trusted. `shell`: absolute path; the runner's sessions use it
        (None: the runner's login shell). `settings`: lines of sshd_config that win over those here;
        `matches`: whole Match blocks, with the same right."""
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o755)
        self.place = place
        me = pwd.getpwuid(os.getuid())
        self.user = me.pw_name
        self.home = furnish(place / "home")
        self.port = free_port()
        self._kinds = tuple(host_key_kinds)
        self._shell = shell or me.pw_shell
        self._settings = settings
        self._matches = matches
        self._authorized = place / "authorized_keys"
        self._authorized.write_text("".join(f"{key}\n" for key in authorized))
        self._user_cas = place / "user_cas"
        self._user_cas.write_text("".join(f"{key}\n" for key in user_cas))
        self._authorized.chmod(0o644)  # sshd reads it as the account that logs in
        self._child: Child | None = None
        self.host_keys: tuple[KeyPair, ...] = ()
        self.replace_host_keys()

    @property
    def child(self) -> Child:
        assert self._child, "this sshd is not running"
        return self._child

    @property
    def log(self) -> str:
        """Its log since the last start, at level VERBOSE; `child.wait_for` waits for a line of it."""
        return self.child.output

    def authorize(self, public: str) -> None:
        """Let a key log in; takes effect at once."""
        with self._authorized.open("a") as file:
            file.write(f"{public}\n")

    def trust_ca(self, public: str) -> None:
        """Trust user certificates signed by this key; takes effect at once."""
        with self._user_cas.open("a") as file:
            file.write(f"{public}\n")

    def replace_host_keys(self) -> None:
        """New host keys of the same kinds, as an impostor would have; used from the next start on."""
        self.host_keys = tuple(make_key(self.place, f"host_{kind}", kind=kind) for kind in self._kinds)

    def start(self) -> Self:
        """Listen on `port`, the same at every start; returns once it does."""
        assert self._child is None or not self._child.alive, "this sshd is running already"
        if os.getuid() == 0:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        config = self.place / "sshd_config"
        config.write_text(self._config())
        self._child = Child([sshd_program(), "-D", "-e", "-f", config], env=clean_env(self.home))
        self._child.wait_for(rf"^Server listening on {re.escape(HOST)} port {self.port}\.")
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server and with it every session on it."""
        if self._child is not None:
            self._end_sessions(self._child)
            self._child.stop()

    def _end_sessions(self, child: Child) -> None:
        """Each session is served by a child of the server that leads a session of its own and outlives it."""
        argv = ["ps", "-o", "pid=", "--ppid", str(child.pid)]
        found = subprocess.run(argv, capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)

    def client(self, key: KeyPair | None, *, home: Path | None = None, login: str | None = None) -> SshClient:
        """A client that knows this server's keys; `home` defaults to a folder beside the server's files."""
        home = home or self.place / "client"
        home.mkdir(exist_ok=True)
        plain = SshClient(self.port, login or self.user, key.path if key else None, home)
        return plain.know([pair.bare for pair in self.host_keys])

    def _config(self) -> str:
        lines = [
            self._settings,  # the first value of a keyword wins
            f"ListenAddress {HOST}:{self.port}",
            *(f"HostKey {pair.path}" for pair in self.host_keys),
            "PidFile none",
            "LogLevel VERBOSE",
            "UsePAM no",
            "StrictModes no",  # the files lie in a folder of the runner, below a world-writable one
            "UseDNS no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            f"AuthorizedKeysFile {self._authorized}",
            f"TrustedUserCAKeys {self._user_cas}",
            "AcceptEnv LC_*",
            f"SetEnv {_LOCALE}",
            "PrintMotd no",
            "PrintLastLog no",
            "MaxStartups 1000",
            "MaxSessions 1000",
            f"Subsystem sftp {_sftp_server()}",
        ]
        if _version() >= (9, 8):
            lines.append("PerSourcePenalties no")
        lines += [
            self._matches,
            f"Match User {self.user}",
            f"SetEnv {_LOCALE} HOME={self.home}",
            f"ForceCommand {self._login_script()}",
        ]
        return "\n".join(lines) + "\n"

    def _login_script(self) -> Path:
        """Does what sshd would if `home` and the chosen shell were those of the runner's account."""
        script = self.place / "login"
        script.write_text(
            f"#!/bin/sh\nSHELL={self._shell}\nexport SHELL\ncd\n"
            'if [ "${SSH_ORIGINAL_COMMAND+set}" ]; then exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"; fi\n'
            'exec "$SHELL" -l\n'
        )
        script.chmod(0o755)
        return script


def _sftp_server() -> str:
    return next(
        path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/sftp-server") if os.path.exists(path)
    )


def _version() -> tuple[int, int]:
    """Of OpenSSH, (major, minor)."""
    text = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", text)
    assert found, text
    return int(found[1]), int(found[2])
