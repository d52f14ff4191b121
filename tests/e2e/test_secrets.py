"""Stored credentials are used and nowhere to be found while they are."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bastion import Bastion, family
from tests.world.accounts import Account, Accounts
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair, make_key
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]
MakeSshd = Callable[..., Sshd]

PASSWORD = "Tr0ub4dor-and-3-more-words"


def needles(key: KeyPair) -> list[bytes]:
    """The lines of the private key's body but the first, which all keys share, and the password."""
    lines = key.path.read_bytes().splitlines()[2:-1]
    assert len(lines) >= 3
    return [*lines, PASSWORD.encode()]


def test_certificate_of_the_broker_logs_in(make_bastion: MakeBastion, make_sshd: MakeSshd) -> None:
    """`credential: ca`: a key and a certificate that live for one connection."""
    sshd = make_sshd("t", authorized=())
    made = make_bastion()
    made.target("web", sshd, credential="ca")
    made.allow("all", targets=["*"], channels=["exec"])
    ca = made.broker.cli("secrets", "ca", "init").stdout.strip()
    made.start()
    assert made.ssh("web").run("true").returncode == 69, "not trusted yet"
    sshd.trust_ca(ca)
    for _ in range(2):
        assert made.ssh("web").run("echo in").stdout == b"in\n"
    accepted = [line for line in sshd.log.splitlines() if "Accepted publickey" in line]
    assert len(accepted) == 2
    assert all("ED25519-CERT" in line for line in accepted)
    keys = {line.split("ED25519-CERT ")[1].split()[0] for line in accepted}
    assert len(keys) == 2, "each connection has a key of its own"
    assert "alice" in accepted[0]


def test_no_secret_is_found_while_sessions_run(
    make_bastion: MakeBastion, target_key: KeyPair, place: Path
) -> None:
    """lesson 37: not in the data folder, nor in arguments or environment of the broker and its children."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    made.broker.cli("secrets", "add", "pw", "--kind", "password", input=PASSWORD)
    made.start()
    client = made.ssh("web")
    with client.pty() as shell, made.ssh().pty() as picker:
        shell.expect(PROMPT)
        picker.expect("web")
        verb = made.ssh().start("recordings ls")
        assert client.run("echo used").stdout == b"used\n"
        found = _found(made, needles(target_key))
        verb.wait()
        shell.send(b"exit\r")
        shell.wait()
    assert found == []
    made.broker.kill9()
    assert _in_files(made.broker.data, needles(target_key)) == []
    log = made.broker.log.encode()
    assert not [needle for needle in needles(target_key) if needle in log]
    assert _in_files(target_key.path.parent, needles(target_key)) == ["target"], "the search does find it"


def _found(made: Bastion, wanted: list[bytes]) -> list[str]:
    processes = family(made.broker.pid)
    assert len(processes) >= 3, "broker, zygote, picker"
    return _in_files(made.broker.data, wanted) + [
        f"/proc/{pid}/{part}"
        for pid in processes
        for part in ("cmdline", "environ")
        if any(needle in _read(Path(f"/proc/{pid}/{part}")) for needle in wanted)
    ]


def _in_files(folder: Path, wanted: list[bytes]) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path.name for path in files if any(needle in path.read_bytes() for needle in wanted)]


def _read(path: Path) -> bytes:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return path.read_bytes()
    return b""


@pytest.fixture
def with_password(accounts: Accounts) -> Account:
    account = accounts.add("pw")
    subprocess.run(["chpasswd"], input=f"{account.name}:{PASSWORD}\n".encode(), check=True)
    return account


@pytest.mark.root
@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_password_logs_in(
    make_bastion: MakeBastion, make_sshd: MakeSshd, with_password: Account, method: str
) -> None:
    sshd = make_sshd(
        "t",
        authorized=(),
        settings="UsePAM yes\nPasswordAuthentication {}\nKbdInteractiveAuthentication {}".format(
            *(("yes", "no") if method == "password" else ("no", "yes"))
        ),
    )
    made = make_bastion()
    made.broker.cli("secrets", "add", "pw", "--kind", "password", input=PASSWORD)
    made.broker.cli("secrets", "add", "wrong", "--kind", "password", input=PASSWORD[:-1])
    made.target("web", sshd, accounts=[with_password.name], credential={"secret": "pw"})
    made.target("web-wrong", sshd, accounts=[with_password.name], credential={"secret": "wrong"})
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    done = made.ssh("web").run("id -un")
    assert (done.stdout.decode().strip(), done.returncode) == (with_password.name, 0), sshd.log
    assert f"Accepted {method}" in sshd.log
    refused = made.ssh("web-wrong").run("true")
    assert refused.returncode == 69
    assert b"the target refused the broker's login" in refused.stderr
    assert PASSWORD.encode() not in refused.stderr + made.broker.log.encode()


def test_rotated_secret_counts_for_the_next_connection(make_bastion: MakeBastion, place: Path) -> None:
    """lesson 33: without a restart."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["exec"])
    made.start()
    assert made.ssh("web").run("true").returncode == 0
    stranger = make_key(place, "stranger")
    made.broker.cli("secrets", "rotate", "web", "--file", str(stranger.path))
    assert made.ssh("web").run("true").returncode == 69


def test_environment_of_the_broker_is_not_that_of_its_children(make_bastion: MakeBastion) -> None:
    """What the operator's shell held does not reach pickers and verbs."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell"])
    made.broker.env["OPERATORS_TOKEN"] = "not-for-children"
    made.start()
    with made.ssh().pty() as picker:
        picker.expect("web")
        children = family(made.broker.pid)[1:]
        assert len(children) >= 2
        environments = [_read(Path(f"/proc/{pid}/environ")) for pid in children]
    assert not [env for env in environments if b"OPERATORS_TOKEN" in env]
    assert b"OPERATORS_TOKEN" in _read(Path(f"/proc/{made.broker.pid}/environ"))
