"""The signing key: private, kept apart from the data, made once, and missed loudly."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from broker.adapters.signing_key import make_signing_key, read_signing_key
from broker.adapters.sqlite import SqliteStore
from broker.app import open_signer
from broker.config import load_config
from broker.config.schema import Config, KeySource
from broker.model.errors import Invalid, InvalidConfig, Unavailable
from broker.services.seals import Sealer
from tests.unit.rows import FixedClock


def config(folder: Path, text: str = "") -> Config:
    path = folder / "bartizan.yaml"
    path.write_text(f"data: data\n{text}")
    return load_config(path)


def test_a_key_is_made_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    made = make_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_signing_key(KeySource(file=path)).key == made.key
    with pytest.raises(Invalid, match="never overwritten"):
        make_signing_key(path)


def test_a_key_comes_from_a_variable_or_a_credential_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_signing_key(tmp_path / "signing.key")
    monkeypatch.setenv("BZ_SIGNING", made.written().decode())
    assert read_signing_key(KeySource(env="BZ_SIGNING")).key == made.key
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_signing_key(KeySource(credential="signing.key")).key == made.key


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "cannot be read"),
        ("", 0o600, "holds no signing key"),
        ("not PEM", 0o600, "holds no signing key"),
        ("key", 0o644, "can be read by others"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    path = tmp_path / "signing.key"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(Unavailable, match=says):
        read_signing_key(KeySource(file=path))


def test_a_key_below_what_it_signs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="lies below data: keep it apart"):
        config(tmp_path, "signing: {key: {file: data/signing.key}}\n")
    with pytest.raises(InvalidConfig, match=r"lies below recording\.dir"):
        config(tmp_path, "recording: {dir: r}\nsigning: {key: {file: r/signing.key}}\n")


def test_it_is_made_at_the_first_start_and_missed_at_a_later_one(tmp_path: Path) -> None:
    settings = config(tmp_path)
    store = SqliteStore(settings.data / "bartizan.db")
    signer = open_signer(settings, store)
    assert open_signer(settings, store).key == signer.key
    Sealer(store, signer, FixedClock()).begin()
    (tmp_path / "signing.key").unlink()
    with pytest.raises(Unavailable, match=r"the signing key .* is gone, so nothing can be recorded"):
        open_signer(settings, store)
    assert not (tmp_path / "signing.key").exists()
    store.close()
