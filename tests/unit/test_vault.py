"""The vault: what is stored opens for its grant, and is found nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from broker.adapters import certificates
from broker.adapters.clock import SystemClock
from broker.adapters.master_key import KeyFile, MasterKeyRing, generate_master_key
from broker.adapters.sealing import SealedSecret
from broker.adapters.sqlite import SqliteStore
from broker.adapters.ssh_keys import PassphraseNeeded, normal_private_key
from broker.adapters.vault import CA_NAME, Vault
from broker.model.errors import BartizanError, Invalid, Unavailable
from broker.model.secret import Secret, SecretKind
from broker.model.target import CredentialKind
from broker.ports import SecretStore, SecretVault
from tests.fakes.secrets import found_in, grant
from tests.world.keys import make_key

SEED = b"correct-horse-battery-staple"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "data" / "bartizan.db")
    yield opened
    opened.close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "master.key"
    generate_master_key(path)
    return path


@pytest.fixture
def vault(store: SqliteStore, key_file: Path) -> Vault:
    return Vault(store, MasterKeyRing(KeyFile(key_file)), SystemClock())


def typed(vault: Vault) -> tuple[SecretVault, SecretStore]:
    """Says to the type checker that it implements both ports."""
    return vault, vault


def opened(vault: Vault, name: str) -> bytes:
    return vault.fetch(grant(name)).secret.reveal()


def test_a_password_opens_for_its_grant(vault: Vault) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    credential = vault.fetch(grant("db"))
    assert (credential.kind, credential.secret.reveal(), credential.certificate) == (
        SecretKind.PASSWORD,
        SEED,
        b"",
    )
    assert SEED.decode() not in repr(credential)


def test_a_private_key_opens_for_its_grant(vault: Vault, tmp_path: Path) -> None:
    pair = make_key(tmp_path)
    vault.add("web", SecretKind.PRIVATE_KEY, Secret(pair.path.read_bytes()))
    key = asyncssh.import_private_key(opened(vault, "web"))
    assert key.get_fingerprint() == pair.fingerprint


def test_a_rotated_secret_holds_for_the_next_connection(
    vault: Vault, store: SqliteStore, key_file: Path
) -> None:
    """lesson 33: another process rotates, and this one does not serve the old value."""
    vault.add("db", SecretKind.PASSWORD, Secret(b"old"))
    assert opened(vault, "db") == b"old"
    other_store = SqliteStore(store._file.path)
    Vault(other_store, MasterKeyRing(KeyFile(key_file)), SystemClock()).replace("db", Secret(b"new"))
    assert opened(vault, "db") == b"new"
    Vault(other_store, MasterKeyRing(KeyFile(key_file)), SystemClock()).remove("db")
    other_store.close()
    with pytest.raises(Unavailable, match="no secret db"):
        vault.fetch(grant("db"))


def test_the_list_shows_no_value(vault: Vault) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    (info,) = vault.list()
    assert (info.name, info.kind, info.rotated_at, info.key_version) == ("db", SecretKind.PASSWORD, None, 1)
    vault.replace("db", Secret(SEED + b"2"))
    (info,) = vault.list()
    assert info.rotated_at is not None
    assert SEED.decode() not in repr(info)


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "a" * 65, "a\x1b", "a\n", "-a", CA_NAME])
def test_a_name_that_is_none_is_refused(vault: Vault, name: str) -> None:
    """lesson 31"""
    with pytest.raises(Invalid):
        vault.add(name, SecretKind.PASSWORD, Secret(SEED))
    assert vault.list() == []


@pytest.mark.parametrize("value", [b"", b"two\nlines", b"nul\0", b"x" * 4097])
def test_a_password_that_could_not_be_used_is_refused(vault: Vault, value: bytes) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    with pytest.raises(Invalid, match="password"):
        vault.add("new", SecretKind.PASSWORD, Secret(value))
    with pytest.raises(Invalid, match="password"):
        vault.replace("db", Secret(value))
    assert opened(vault, "db") == SEED


def test_a_key_that_could_not_be_used_is_refused_without_telling_it(vault: Vault, tmp_path: Path) -> None:
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_private_key()
    protected = make_key(tmp_path, passphrase="hunter22").path.read_bytes()
    public = (tmp_path / "id.pub").read_bytes()
    for value, reason in (
        (SEED, "no private key"),
        (b"", "no private key"),
        (public, "no private key"),
        (weak, "2048 bits"),
        (protected, "passphrase"),
        (b"x" * 70_000, "70000 bytes"),
    ):
        with pytest.raises(Invalid, match=reason) as refused:
            vault.add("web", SecretKind.PRIVATE_KEY, Secret(value))
        assert SEED.decode() not in f"{refused.value}{refused.value.hint}"
    assert vault.list() == []


@pytest.mark.parametrize("form", ["RFC4716", "PKCS8", "PEM"])
def test_a_passphrase_is_asked_for_and_taken_off(tmp_path: Path, form: str) -> None:
    path = tmp_path / "id"
    arguments = ["-t", "ecdsa", "-m", form, "-N", "hunter22", "-f", str(path)]
    subprocess.run(["ssh-keygen", "-q", *arguments], check=True)
    value = Secret(path.read_bytes())
    with pytest.raises(PassphraseNeeded):
        normal_private_key(value)
    with pytest.raises(Invalid, match="does not open the key"):
        normal_private_key(value, "wrong")
    plain = asyncssh.import_private_key(normal_private_key(value, "hunter22").reveal())
    assert plain.convert_to_public() == asyncssh.read_public_key(f"{path}.pub")


def test_the_broker_ca_signs_and_its_key_is_no_targets_credential(vault: Vault) -> None:
    with pytest.raises(Unavailable, match="no CA yet") as refused:
        vault.fetch(grant("", CredentialKind.CA))
    assert refused.value.hint == "bartizan secrets ca init"
    line = vault.create_ca()
    assert line == vault.ca_public_line()
    assert line.startswith("ssh-ed25519 AAAA")
    credential = vault.fetch(grant("", CredentialKind.CA))
    assert credential.certificate.startswith(b"ssh-ed25519-cert-v01@openssh.com ")
    with pytest.raises(Unavailable, match="CA key as its credential"):
        vault.fetch(grant(CA_NAME))
    with pytest.raises(Invalid, match="already"):
        vault.create_ca()
    with pytest.raises(Invalid, match="the broker's own"):
        vault.replace(CA_NAME, certificates.generate_ca())


def alter(store: SqliteStore, name: str, **changes: object) -> None:
    row = store.sealed(name)
    assert row is not None
    store.put_sealed(replace(row, **changes))  # type: ignore[arg-type]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_any_altered_byte_closes_the_secret(vault: Vault, store: SqliteStore) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(b"pw"))
    row = store.sealed("db")
    assert row is not None
    for column in ("wrapped_key", "ciphertext"):
        blob = getattr(row, column)
        for bad in [flipped(blob, at) for at in range(len(blob))] + [b"", blob[:-1], blob + b"\0"]:
            alter(store, "db", wrapped_key=row.wrapped_key, ciphertext=row.ciphertext)
            alter(store, "db", **{column: bad})
            with pytest.raises(Unavailable, match="does not open"):
                vault.fetch(grant("db"))


def test_a_row_does_not_open_under_another_name_or_version(vault: Vault, store: SqliteStore) -> None:
    """lesson 36: whoever can write the file cannot move one target's credential to another."""
    vault.add("prod", SecretKind.PASSWORD, Secret(b"prod-pw"))
    vault.add("test", SecretKind.PASSWORD, Secret(b"test-pw"))
    prod = store.sealed("prod")
    assert prod is not None
    store.put_sealed(replace(prod, name="test"))
    with pytest.raises(Unavailable, match="does not open"):
        vault.fetch(grant("test"))
    vault.replace("prod", Secret(b"newer"))
    alter(store, "prod", ciphertext=prod.ciphertext, wrapped_key=prod.wrapped_key)
    with pytest.raises(Unavailable, match="does not open"):
        vault.fetch(grant("prod"))


def test_a_row_does_not_open_as_another_kind(vault: Vault, store: SqliteStore) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(b"pw"))
    store._change("UPDATE secrets SET kind = 'private-key'")
    with pytest.raises(Unavailable, match="does not open"):
        vault.fetch(grant("db"))


def test_equal_values_look_different(vault: Vault, store: SqliteStore) -> None:
    vault.add("one", SecretKind.PASSWORD, Secret(SEED))
    vault.add("two", SecretKind.PASSWORD, Secret(SEED))
    one, two = store.all_sealed()
    assert one.ciphertext[12:] != two.ciphertext[12:]
    assert one.wrapped_key != two.wrapped_key


def rows(store: SqliteStore) -> list[SealedSecret]:
    return store.all_sealed()


def test_a_new_master_key_opens_old_secrets_and_rewraps_them(
    vault: Vault, store: SqliteStore, key_file: Path, tmp_path: Path
) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    vault.create_ca()
    before = rows(store)
    generate_master_key(tmp_path / "new.key")
    sources = KeyFile(tmp_path / "new.key"), [KeyFile(key_file)]
    rotated = Vault(store, MasterKeyRing(*sources), SystemClock())
    assert opened(rotated, "db") == SEED, "the previous key still opens"
    assert rotated.rewrap() == 2
    assert rotated.rewrap() == 0
    assert [info.key_version for info in rotated.list()] == [2, 2]
    assert [row.ciphertext for row in rows(store)] == [row.ciphertext for row in before]
    key_file.unlink()
    alone = Vault(store, MasterKeyRing(KeyFile(tmp_path / "new.key")), SystemClock())
    assert opened(alone, "db") == SEED
    with pytest.raises(Unavailable, match="cannot be read"):
        opened(vault, "db")


def test_a_running_broker_finds_a_rotated_key_in_the_same_file(
    vault: Vault, store: SqliteStore, key_file: Path
) -> None:
    """lesson 33"""
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    old = key_file.rename(key_file.with_name("old.key"))
    generate_master_key(key_file)
    admin = Vault(store, MasterKeyRing(KeyFile(key_file), [KeyFile(old)]), SystemClock())
    assert admin.rewrap() == 1
    assert opened(vault, "db") == SEED


def test_rewrapping_is_all_or_nothing(
    vault: Vault, store: SqliteStore, key_file: Path, tmp_path: Path
) -> None:
    vault.add("aaa", SecretKind.PASSWORD, Secret(b"1"))
    vault.add("bbb", SecretKind.PASSWORD, Secret(b"2"))
    row = store.sealed("bbb")
    assert row is not None
    alter(store, "bbb", ciphertext=flipped(row.ciphertext, 20))
    before = rows(store)
    generate_master_key(tmp_path / "new.key")
    ring = MasterKeyRing(KeyFile(tmp_path / "new.key"), [KeyFile(key_file)])
    with pytest.raises(Unavailable, match="bbb does not open"):
        Vault(store, ring, SystemClock()).rewrap()
    assert rows(store) == before


def test_another_master_key_opens_nothing_and_says_which_is_missing(
    vault: Vault, store: SqliteStore, tmp_path: Path
) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    generate_master_key(tmp_path / "other.key")
    other = Vault(store, MasterKeyRing(KeyFile(tmp_path / "other.key")), SystemClock())
    with pytest.raises(Unavailable, match=r"master key [0-9a-f]{8}, which is not here") as refused:
        other.fetch(grant("db"))
    assert "vault.previous" in refused.value.hint


CRASHING = """
import os, sys
from pathlib import Path
from broker.adapters.clock import SystemClock
from broker.adapters.master_key import KeyFile, MasterKeyRing
from broker.adapters.sqlite import SqliteStore
from broker.adapters.vault import Vault
from broker.model.secret import Secret, SecretKind
folder = Path(sys.argv[1])
ring = MasterKeyRing(KeyFile(folder / "master.key"))
vault = Vault(SqliteStore(folder / "data" / "bartizan.db"), ring, SystemClock())
seed = sys.stdin.buffer.read()
vault.add("crash", SecretKind.PASSWORD, Secret(seed))
vault.replace("crash", Secret(seed + b"-rotated"))
print(open("/proc/self/cmdline").read(), open("/proc/self/environ").read())
sys.stdout.flush()
os.kill(os.getpid(), 9)
"""


def test_a_secret_is_in_no_file_after_every_change(vault: Vault, tmp_path: Path) -> None:
    """lesson 37: not in the database, its log, or what a process shows of itself."""
    key = make_key(tmp_path, "key").path
    line = key.read_bytes().splitlines()[2]
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    vault.add("web", SecretKind.PRIVATE_KEY, Secret(key.read_bytes()))
    vault.replace("db", Secret(SEED + b"-new"))
    generate_master_key(tmp_path / "new.key")
    ring = MasterKeyRing(KeyFile(tmp_path / "new.key"), [KeyFile(tmp_path / "master.key")])
    Vault(vault._rows, ring, SystemClock()).rewrap()
    vault.remove("web")
    assert found_in(tmp_path / "data", SEED) == []
    assert found_in(tmp_path / "data", line) == []


def test_a_secret_is_in_no_file_after_a_crash(vault: Vault, tmp_path: Path) -> None:
    """lesson 37"""
    arguments = [sys.executable, "-c", CRASHING, str(tmp_path)]
    crashed = subprocess.run(arguments, input=SEED, capture_output=True, check=False)
    assert crashed.returncode == -9, crashed.stderr.decode()
    assert SEED not in crashed.stdout + crashed.stderr
    assert found_in(tmp_path / "data", SEED) == []
    assert opened(vault, "crash") == SEED + b"-rotated"


def test_no_error_tells_a_value(vault: Vault, store: SqliteStore) -> None:
    vault.add("db", SecretKind.PASSWORD, Secret(SEED))
    alter(store, "db", ciphertext=os.urandom(60))
    with pytest.raises(BartizanError) as refused:
        vault.fetch(grant("db"))
    assert refused.value.__context__ is None or SEED.decode() not in repr(refused.value.__context__)
    assert SEED.decode() not in str(refused.value)
