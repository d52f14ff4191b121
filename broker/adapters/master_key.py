"""Where master keys come from: a private file, an environment variable, or a systemd credential.

The text of a key is 32 random bytes in base64 or hexadecimal. Raw bytes are not taken: 32 typed
characters would be, and a typed phrase is no key.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from broker.adapters.private_text import credential_text, file_text, variable_text, write_private
from broker.adapters.sealing import KEY_BYTES, MasterKey, master_key
from broker.config.schema import KeySource
from broker.model.errors import Invalid, Unavailable

_WHAT = "master key"


class MasterKeySource(Protocol):
    def read(self) -> MasterKey:
        """The key as it is now. Raises Unavailable, saying where it was looked for and what to do."""


class KeyFile:
    """A file of mode 0600 that belongs to the user this process runs as."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> MasterKey:
        return _decoded(file_text(self._path, _WHAT), str(self._path))


class KeyVariable:
    """An environment variable; taken out of the environment when it is read, so that no child gets it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._key: MasterKey | None = None

    def read(self) -> MasterKey:
        if self._key is None or self._name in os.environ:
            self._key = _decoded(variable_text(self._name, _WHAT), f"the variable {self._name}")
        return self._key


class KeyCredential:
    """A credential that systemd has put into $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self) -> MasterKey:
        return _decoded(credential_text(self._name, _WHAT), f"the systemd credential {self._name}")


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

    def exists() -> Exception:
        return Invalid(
            f"{path} exists; a master key is never overwritten",
            hint="to rotate, name a new file and list this one under vault.previous",
        )

    write_private(path, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n", _WHAT, exists)


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
