"""Keys from outside: the text of a private file, an environment variable, or a systemd credential."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from broker.model.errors import Unavailable

MAX_TEXT = 4096
"""Bytes read at most; a longer text is no key."""


def file_text(path: Path, what: str) -> bytes:
    """Of a file of mode 0600 that belongs to the user this process runs as. Raises Unavailable."""
    try:
        # NONBLOCK: a pipe in place of the file must not hold up the start.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "is a symbolic link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise Unavailable(
            f"the {what} {path} {why}", hint="name the file itself, owned by the broker's user"
        ) from None
    try:
        _refuse_shared(path, what, os.fstat(fd))
        return os.read(fd, MAX_TEXT + 1)
    finally:
        os.close(fd)


def _refuse_shared(path: Path, what: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unavailable(f"the {what} {path} is not a file")
    if status.st_uid != os.geteuid():
        raise Unavailable(
            f"the {what} {path} belongs to uid {status.st_uid}, not to this process's {os.geteuid()}",
            hint=f"run the command as its owner, or chown it to uid {os.geteuid()}",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Unavailable(
            f"the {what} {path} can be read by others (mode {stat.S_IMODE(status.st_mode):o})",
            hint=f"chmod 600 {path}, and consider the key as known to them",
        )


def variable_text(name: str, what: str) -> bytes:
    """Of an environment variable; it is taken out, so that no child gets it. Raises Unavailable."""
    text = os.environ.pop(name, None)
    if text is None:
        raise Unavailable(
            f"the environment variable {name} with the {what} is not set",
            hint="set it for this process alone, or use a key file",
        )
    return text.encode("utf-8", "replace")


def credential_text(name: str, what: str) -> bytes:
    """Of a credential that systemd has put into $CREDENTIALS_DIRECTORY (systemd.exec(5), LoadCredential).

    Raises Unavailable.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise Unavailable(
            f"no systemd credentials here, so none named {name} with the {what}",
            hint=f"add LoadCredentialEncrypted={name} to the unit",
        )
    try:
        return (Path(folder) / name).read_bytes()[: MAX_TEXT + 1]
    except OSError as error:
        raise Unavailable(
            f"the systemd credential {name} with the {what} cannot be read: {error.strerror}",
            hint=f"add LoadCredentialEncrypted={name} to the unit",
        ) from None


def write_private(path: Path, text: bytes, what: str, if_exists: Callable[[], Exception]) -> None:
    """Write a new file of mode 0600, on the disk on return. Raises `if_exists`, Unavailable."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise if_exists() from None
    except OSError as error:
        raise Unavailable(f"the {what} {path} cannot be written: {error.strerror}") from None
    with os.fdopen(fd, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
