"""SSH keys and user certificates, made by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key file of mode 0600 and its public half."""

    path: Path
    public: str
    """`type base64 comment`, one line without its end."""

    @property
    def bare(self) -> str:
        """`type base64`, as host keys are pinned."""
        return " ".join(self.public.split()[:2])

    @property
    def fingerprint(self) -> str:
        """`SHA256:...`, as ssh prints it."""
        words = _keygen("-l", "-f", str(self.path.with_name(f"{self.path.name}.pub")))
        return words.split()[1]


def _keygen(*arguments: str) -> str:
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout


def make_key(folder: Path, name: str = "id", *, kind: str = "ed25519", passphrase: str = "") -> KeyPair:
    """Write `folder/name` and `folder/name.pub`; `kind` is one of ssh-keygen's `-t` words."""
    path = folder / name
    path.unlink(missing_ok=True)
    _keygen("-q", "-t", kind, "-N", passphrase, "-C", name, "-f", str(path))
    return KeyPair(path, path.with_name(f"{name}.pub").read_text().strip())


def certify(
    ca: KeyPair, key: KeyPair, *, identity: str, principals: tuple[str, ...], options: tuple[str, ...] = ()
) -> Path:
    """Sign a user certificate beside `key`, where ssh finds it; returns its path. `options`: more flags."""
    public = key.path.with_name(f"{key.path.name}.pub")
    _keygen("-q", "-s", str(ca.path), "-I", identity, "-n", ",".join(principals), *options, str(public))
    return key.path.with_name(f"{key.path.name}-cert.pub")
