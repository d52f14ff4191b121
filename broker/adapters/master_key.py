"""Where master keys come from: a private file, an environment variable, or a systemd credential.

The text of a key is 32 random bytes in base64 or hexadecimal. Raw bytes are not taken: 32 typed
characters would be, and a typed phrase is no key.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from broker.adapters.sealing import KEY_BYTES, MasterKey, master_key
from broker.config.schema import KeySource
from broker.model.errors import Invalid, Unavailable

_MAX_TEXT = 4096
"""Bytes read of a key file at most; a longer one is no key."""


class MasterKeySource(Protocol):
    def read(self) -> MasterKey:
        """The key as it is now. Raises Unavailable, saying where it was looked for and what to do."""


class KeyFile:
    """A file of mode 0600 that belongs to the user this process runs as."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> MasterKey:
        return _decoded(_read_private(self._path), str(self._path))


class KeyVariable:
    """An environment variable; taken out of the environment when it is read, so that no child gets it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._key: MasterKey | None = None

    def read(self) -> MasterKey:
        text = os.environ.pop(self._name, None)
        if text is not None:
            self._key = _decoded(text.encode("utf-8", "replace"), f"the variable {self._name}")
        if self._key is None:
            raise Unavailable(
                f"the environment variable {self._name} with the master key is not set",
                hint="set it for this process alone, or use a key file",
            )
        return self._key


class KeyCredential:
    """A credential that systemd has put into $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self) -> MasterKey:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise Unavailable(
                f"no systemd credentials here, so none named {self._name} with the master key",
                hint=f"add LoadCredentialEncrypted={self._name} to the unit",
            )
        path = Path(folder) / self._name
        try:
            return _decoded(path.read_bytes()[: _MAX_TEXT + 1], f"the systemd credential {self._name}")
        except OSError as error:
            raise Unavailable(
                f"the systemd credential {self._name} with the master key cannot be read: {error.strerror}",
                hint=f"add LoadCredentialEncrypted={self._name} to the unit",
            ) from None


class MasterKeyRing:
    """The newest master key, and older ones that still open what they have wrapped."""

    def __init__(self, newest: MasterKeySource, previous: Sequence[MasterKeySource] = ()) -> None:
        """Reads every key. Raises Unavailable if one of them cannot be read."""
        self._sources = (newest, *previous)
        self._keys = self._read()

    @property
    def newest(self) -> MasterKey:
        return self._keys[0]

    def find(self, key_id: str) -> MasterKey | None:
        """The key of that id. Looks at the sources again if it is not among the known ones: the key may
        have been rotated since."""
        return self._known(key_id) or self._found_again(key_id)

    def _known(self, key_id: str) -> MasterKey | None:
        return next((key for key in self._keys if key.id == key_id), None)

    def _found_again(self, key_id: str) -> MasterKey | None:
        self._keys = self._read()
        return self._known(key_id)

    def _read(self) -> list[MasterKey]:
        return [source.read() for source in self._sources]


def source_of(config: KeySource) -> MasterKeySource:
    """The source that the configuration names (exactly one of its keys is set)."""
    if config.file is not None:
        return KeyFile(config.file)
    if config.env is not None:
        return KeyVariable(config.env)
    if config.credential is not None:
        return KeyCredential(config.credential)
    raise Invalid("a master key needs one of file, env, credential")


def generate_master_key(path: Path) -> None:
    """Write a new key to a new file of mode 0600. Raises Invalid if there is something at `path`."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Invalid(
            f"{path} exists; a master key is never overwritten",
            hint="to rotate, name a new file and list this one under vault.previous",
        ) from None
    except OSError as error:
        raise Unavailable(f"the master key {path} cannot be written: {error.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read_private(path: Path) -> bytes:
    try:
        # NONBLOCK: a pipe in place of the file must not hold up the start.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise Unavailable(
            f"the master key {path} {what}", hint="name the file itself, owned by the broker's user"
        ) from None
    try:
        _refuse_shared(path, os.fstat(fd))
        return os.read(fd, _MAX_TEXT + 1)
    finally:
        os.close(fd)


def _refuse_shared(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unavailable(f"the master key {path} is not a file")
    if status.st_uid != os.geteuid():
        raise Unavailable(
            f"the master key {path} belongs to uid {status.st_uid}, not to this process's {os.geteuid()}",
            hint=f"run the command as its owner, or chown it to uid {os.geteuid()}",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Unavailable(
            f"the master key {path} can be read by others (mode {stat.S_IMODE(status.st_mode):o})",
            hint=f"chmod 600 {path}, and consider the key as known to them",
        )


def _decoded(text: bytes, where: str) -> MasterKey:
    """The key in `text`; errors tell its length and never what it holds."""
    words = text.strip()
    try:
        value = bytes.fromhex(words.decode()) if len(words) == 2 * KEY_BYTES else _base64(words)
        return master_key(value)
    except ValueError:
        raise Unavailable(
            f"{where} holds no master key: {KEY_BYTES} bytes in base64 (44 characters) or hexadecimal (64) "
            f"are expected, and it has {len(words)} characters",
            hint="make one in a new file: bartizan secrets master-key FILE",
        ) from None


def _base64(words: bytes) -> bytes:
    try:
        return base64.b64decode(words, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
