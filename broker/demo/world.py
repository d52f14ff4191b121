"""The world of the demo: everything that runs and lies in its temporary folder, from start to removal."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.adapters.master_key import generate_master_key
from broker.adapters.ssh_keys import public_line
from broker.app import host_key, open_store, open_vault
from broker.config import load_config
from broker.demo import files
from broker.demo.target import Settings
from broker.model.errors import Unavailable
from broker.model.identity import Kind, PublicKey, User
from broker.model.secret import Secret, SecretKind

UNPRIVILEGED = 64_641
"""Uid and gid of the target's shells where the demo runs as root: nobody's account, no one else's files.
Not `nobody`, whose other processes (the pickers among them) such a shell could signal."""
LONGEST_PLACE = 60
READY_TIMEOUT = 60.0
STOP_TIMEOUT = 5.0
USERS = (("alice", frozenset({"ops"})), ("bob", frozenset({"lab"})))
_OLDER = (
    ("shop-web", "head -n 2 srv/shop/README", "DEMO-1 look at the notes"),
    ("shop-db", "cat srv/shop/VERSION; ls -l srv/shop", ""),
)
"""Sessions that are played before the demo begins, so that the list of recordings is not empty."""


class World:
    """A running broker with its target. Use as a context manager; `keep` leaves the folder in place."""

    def __init__(self, *, ui: str = "auto", keep: bool = False) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="bzd-", dir=_temporary()))
        self._keep = keep
        self._ui = ui
        self._children: list[subprocess.Popen[bytes]] = []
        self._login_key, self._password = _new_key(), secrets.token_urlsafe(18)
        self.private = self.place / "broker"
        """The broker's own: nobody but the caller enters."""
        self.home = self.place / "home"
        """Where the target's shells start."""
        self.needles = [self._password.encode(), *_forms_of_key(self._login_key)]
        """The stored private key and password, in forms in which they could lie in a file."""
        self.port = 0
        self.seconds = 0.0
        """How long the start took."""

    def __enter__(self) -> World:
        began = time.monotonic()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        self.seconds = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def ssh_config(self) -> Path:
        """For the `-F` of the system's client; a short path, as people copy it. Nothing in it is secret."""
        return self.place / "ssh"

    @property
    def config_file(self) -> Path:
        return self.private / "bartizan.yaml"

    @property
    def data(self) -> Path:
        return self.private / "data"

    def ssh(self, login: str, *command: str, options: Sequence[str] = ()) -> list[str]:
        """The command line of the system's client; `login` such as `bastion` or `shop-db@bastion`."""
        return ["ssh", "-F", str(self.ssh_config), *options, login, *command]

    def run(self, login: str, command: str, reason: str = "") -> subprocess.CompletedProcess[str]:
        """One command through the broker, without a terminal."""
        setting = ["-o", f"SetEnv=LC_BARTIZAN_REASON={json.dumps(reason)}"] if reason else []
        return subprocess.run(
            self.ssh(login, command, options=setting),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=READY_TIMEOUT,
            check=False,
        )

    # ------------------------------------------------------------ start

    def _start(self) -> None:
        uid = UNPRIVILEGED if os.geteuid() == 0 else None
        self.place.chmod(0o700 if uid is None else 0o711)
        self.private.mkdir(mode=0o700)
        files.furnish_home(self.home, uid)
        self._configure(self._start_target(uid))
        self.port = self._start_broker()
        self.ssh_config.write_text(files.client_config(self.private, self.port))
        self._play_older()

    def _start_target(self, uid: int | None) -> tuple[list[int], str]:
        """Ports of the hosts, and the host key they share."""
        key = _new_key()
        settings = Settings(
            home=str(self.home),
            host_key=key.export_private_key().decode(),
            authorized=_public(self._login_key),
            password=self._password,
            uid=uid,
        )
        with contextlib.ExitStack() as given:
            sockets = [given.enter_context(_listening()) for _ in files.HOSTS]
            words = [f"{host.name}={sock.fileno()}" for host, sock in zip(files.HOSTS, sockets, strict=True)]
            child = self._launch(["broker.demo.target", *words], sockets)
            assert child.stdin is not None
            child.stdin.write(settings.line())
            child.stdin.flush()
            return [sock.getsockname()[1] for sock in sockets], _public(key)

    def _configure(self, target: tuple[list[int], str]) -> None:
        """What an administrator does once: configuration, targets, policies, users, keys, secrets."""
        ports, key = target
        for folder in ("targets", "policies"):
            (self.private / folder).mkdir()
        generate_master_key(self.private / "master.key")
        self.config_file.write_text(files.broker_config(self.private, self._ui))
        (self.private / "policies" / "demo.yaml").write_text(files.POLICIES)
        for host, port in zip(files.HOSTS, ports, strict=True):
            path = self.private / "targets" / f"{host.name}.yaml"
            path.write_text(files.target_file(host, port, key))
        self._seed()

    def _seed(self) -> None:
        config = load_config(self.config_file)
        store = open_store(config)
        try:
            vault = open_vault(config, store)
            vault.add(files.KEY_SECRET, SecretKind.PRIVATE_KEY, Secret(self._login_key.export_private_key()))
            vault.add(files.PASSWORD_SECRET, SecretKind.PASSWORD, Secret(self._password.encode()))
            now = time.time_ns() // 1000
            for name, groups in USERS:
                store.add_user(User(name, Kind.HUMAN, groups, admin=False, created_at=now))
                key = _new_key()
                _write_private(self.private / name, key.export_private_key())
                line = public_line(key.export_public_key())
                store.add_key(PublicKey(line.fingerprint, name, line.line, "demo", now))
        finally:
            store.close()
        bastion = _public(host_key(config.host_key))
        (self.private / "known_hosts").write_text(f"bartizan-demo {bastion}\n")

    def _start_broker(self) -> int:
        """The port it listens on, once it does. Raises Unavailable with its last words."""
        child = self._launch(["broker.cli", "--config", str(self.config_file), "serve"])
        watch = _ReadyWatch(child.stderr, self.private / "broker.log")
        port = watch.port(READY_TIMEOUT)
        if port is None:
            raise Unavailable("the broker of the demo did not start", hint=watch.tail())
        return port

    def _launch(self, module: list[str], sockets: Sequence[socket.socket] = ()) -> subprocess.Popen[bytes]:
        """A child of its own session, so that Ctrl-C on this terminal ends only the demo itself first."""
        serves = module[0] == "broker.cli"
        child = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL if serves else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if serves else None,
            pass_fds=[sock.fileno() for sock in sockets],
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def _play_older(self) -> None:
        for target, command, reason in _OLDER:
            done = self.run(f"{target}@bastion", command, reason)
            if done.returncode != 0:
                raise Unavailable(f"the demo's first session failed ({done.stderr.strip()})")

    # ------------------------------------------------------------ end

    def close(self) -> None:
        """End the children by their process ids, then remove the folder unless it is to be kept."""
        with _undisturbed():
            for child in reversed(self._children):
                _end(child)
            self._children.clear()
            if not self._keep:
                shutil.rmtree(self.place, ignore_errors=True)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not stop the cleaning up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _ReadyWatch:
    """Keeps the broker's log in a file and finds the line that says it is ready."""

    def __init__(self, source: IO[bytes] | None, path: Path) -> None:
        assert source is not None
        self._source = source
        self._path = path
        self._known = threading.Event()
        self._port: int | None = None
        threading.Thread(target=self._read, name="broker-log", daemon=True).start()

    def _read(self) -> None:
        with self._path.open("wb", buffering=0) as log:
            for line in self._source:
                log.write(line)
                if self._port is None and b'"ready"' in line:
                    with contextlib.suppress(ValueError, KeyError):
                        self._port = int(json.loads(line)["port"])
                        self._known.set()
        self._known.set()

    def port(self, timeout: float) -> int | None:
        """None if the broker ended, or said nothing in `timeout` seconds."""
        self._known.wait(timeout)
        return self._port

    def tail(self) -> str:
        return self._path.read_text(errors="replace")[-500:].strip()


def _temporary() -> Path:
    """Where to make the folder: where this user's temporary files go, else `/tmp`.

    The path has to be short for a Unix socket below it (107 bytes), and for root also open to enter for the
    unprivileged shells.
    """
    usual = Path(tempfile.gettempdir()).resolve()
    closed = os.geteuid() == 0 and not all(p.stat().st_mode & 0o001 for p in (usual, *usual.parents))
    return Path("/tmp") if closed or len(str(usual)) > LONGEST_PLACE else usual  # noqa: S108 - see mkdtemp


def _new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519", comment="demo")


def _public(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def _forms_of_key(key: asyncssh.SSHKey) -> list[bytes]:
    """What would show that a private key lies somewhere: lines of its file, its bytes, those in hex."""
    lines = [line for line in key.export_private_key().splitlines() if not line.startswith(b"-----")]
    assert isinstance(key.pyca_key, Ed25519PrivateKey)
    raw = key.pyca_key.private_bytes_raw()
    # The first line names the format and holds the public key only.
    return [*lines[1:], raw, raw.hex().encode()]


def _write_private(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)


def _listening() -> socket.socket:
    """A socket that listens at once: whoever connects early waits in its queue."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(100)
    return sock
