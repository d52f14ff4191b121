"""Master keys: where they may come from, and what is refused."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from broker.adapters.master_key import (
    KeyCredential,
    KeyFile,
    KeyVariable,
    MasterKeyRing,
    generate_master_key,
    source_of,
)
from broker.config.schema import KeySource
from broker.model.errors import Invalid, Unavailable

TEXT = base64.b64encode(bytes(range(32))).decode()
ID = "45431f66"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(0o600)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_generated_key_is_private_and_readable(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    before = os.umask(0)
    try:
        generate_master_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = KeyFile(path).read()
    assert len(key.value.reveal()) == 32
    assert key.value.reveal().hex() not in repr(key)
    with pytest.raises(Invalid, match="never overwritten"):
        generate_master_key(path)
    assert KeyFile(path).read().id == key.id


def test_base64_and_hexadecimal_give_the_same_key_and_id(tmp_path: Path) -> None:
    one = KeyFile(written(tmp_path / "a", f"{TEXT}\n")).read()
    two = KeyFile(written(tmp_path / "b", bytes(range(32)).hex())).read()
    assert one.id == two.id == ID
    assert one.value.reveal() == two.value.reveal() == bytes(range(32))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "key", TEXT, mode)
    with pytest.raises(Unavailable, match="can be read by others") as refused:
        KeyFile(path).read()
    assert refused.value.hint.startswith(f"chmod 600 {path}")


def test_a_link_is_refused(tmp_path: Path) -> None:
    """lesson 31"""
    (tmp_path / "link").symlink_to(written(tmp_path / "key", TEXT))
    with pytest.raises(Unavailable, match="is a symbolic link"):
        KeyFile(tmp_path / "link").read()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, reason in (("pipe", "not a file"), ("absent", "No such file"), (".", "not a file")):
        with pytest.raises(Unavailable, match=reason):
            KeyFile(tmp_path / name).read()


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "key", TEXT)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Unavailable, match="belongs to uid"):
        KeyFile(path).read()


@pytest.mark.parametrize(
    "text",
    ["", "x" * 32, "correct horse battery staple", TEXT[:-4], TEXT + TEXT, "=" * 44, "é" * 22, "z" * 64],
)
def test_a_text_that_is_no_key_is_refused_without_telling_it(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "key", text)
    with pytest.raises(
        Unavailable, match=r"holds no master key: 32 bytes .* it has \d+ characters"
    ) as refused:
        KeyFile(path).read()
    assert not text or text not in f"{refused.value}{refused.value.hint}"
    assert refused.value.__cause__ is None


READS_VARIABLE = """
import os, subprocess
from broker.adapters.master_key import KeyVariable
source = KeyVariable("MASTER")
print(source.read().id, source.read().id, "MASTER" in os.environ)
print(subprocess.run(["env"], capture_output=True, text=True).stdout)
"""


def test_a_variable_is_read_once_and_no_child_inherits_it() -> None:
    arguments = [sys.executable, "-c", READS_VARIABLE]
    environment = {**os.environ, "MASTER": TEXT}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == f"{ID} {ID} False"
    assert TEXT not in done.stdout


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER", raising=False)
    with pytest.raises(Unavailable, match="MASTER with the master key is not set"):
        KeyVariable("MASTER").read()


def test_a_systemd_credential_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    source = KeyCredential("master")
    with pytest.raises(Unavailable, match="no systemd credentials here"):
        source.read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(Unavailable, match="cannot be read: No such file"):
        source.read()
    written(tmp_path / "master", TEXT, 0o440)  # systemd hands them out with this mode
    assert source.read().id == ID


def test_the_configuration_names_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "master", TEXT)
    monkeypatch.setenv("MASTER", TEXT)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    sources = [{"file": tmp_path / "master"}, {"env": "MASTER"}, {"credential": "master"}]
    assert [source_of(KeySource.model_validate(one)).read().id for one in sources] == [ID] * 3


def test_a_ring_needs_every_key_it_names(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="absent"):
        MasterKeyRing(KeyFile(written(tmp_path / "key", TEXT)), [KeyFile(tmp_path / "absent")])
