"""Strict line mode and exec-only with a real client, the broker, a real sshd and real shells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world.accounts import Accounts
from tests.world.broker import Broker
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd
from tests.world.terminal import Pty

pytestmark = pytest.mark.root

SHELLS = {"bash": "/bin/bash", "zsh": "/usr/bin/zsh", "fish": "/usr/bin/fish"}
ALLOW_LIST = """\
version: 1
policies:
  - name: lab
    who: {users: [alice]}
    targets: {names: [lab, single]}
    accounts: ["*"]
    channels: [shell, exec]
    commands:
      - name: looking
        allow: {program: [echo, cat, ls, sh]}
    default: deny
  - name: listed
    who: {users: [alice]}
    targets: {names: listed}
    accounts: ["*"]
    channels: [shell, exec]
    commands:
      - name: no-touch
        deny: {program: touch}
        reason: touch is not for this host
    opaque: allow
"""


@pytest.fixture
def strict(broker: Broker, sshd: Sshd, accounts: Accounts, user_key: KeyPair, target_key: KeyPair) -> Broker:
    """A broker with an allow-list, and three targets that are the same host in three modes."""
    made = [accounts.add(label, shell=shell).name for label, shell in SHELLS.items()]
    broker.target("lab", sshd, accounts=made, mode="line")
    broker.target("listed", sshd, accounts=made, credential={"secret": "lab"}, mode="line", readers=["sh"])
    broker.target("single", sshd, accounts=made, credential={"secret": "lab"}, mode="exec-only")
    broker.policy("lab", ALLOW_LIST)
    broker.cli("users", "add", "alice", "--key", str(user_key.path) + ".pub")
    broker.cli("secrets", "add", "lab", "--kind", "private-key", "--file", str(target_key.path))
    return broker.start()


@pytest.fixture
def enter(strict: Broker, accounts: Accounts, user_key: KeyPair) -> Iterator[Callable[..., Pty]]:
    """A terminal in a session of the account with that shell."""
    opened: list[Pty] = []

    def open_session(label: str, target: str = "lab") -> Pty:
        name = accounts.add(label, shell=SHELLS[label]).name
        opened.append(strict.client(f"{name}+{target}", user_key).pty())
        return opened[-1]

    yield open_session
    for terminal in opened:
        terminal.close()


def events(broker: Broker, kind: str) -> list[dict[str, object]]:
    found = [json.loads(line) for path in sorted(broker.data.rglob("*.events")) for line in path.open()]
    return [event for event in found if event["kind"] == kind]


@pytest.mark.parametrize("label", SHELLS)
def test_only_what_the_policy_names_reaches_the_shell(
    label: str, strict: Broker, enter: Callable[..., Pty], accounts: Accounts
) -> None:
    home = accounts.add(label, shell=SHELLS[label]).home
    terminal = enter(label)
    terminal.expect("strict line mode")
    terminal.expect("target. ")
    terminal.send(b"touch x-file\r")
    terminal.expect("BLOCKED  touch is not among the commands allowed here")
    terminal.expect("Edit the line, type another, or Ctrl-C to clear it")
    terminal.send(b"\x01\x1bdecho\r")
    terminal.expect(r"[\r\n]x-file\r")
    terminal.send(b"cat\r")
    terminal.send(b"this is text, no command\r\x04")
    terminal.expect(r"no command\r\nthis is text, no command\r\n")
    terminal.expect("target. ")
    terminal.send(b"\x04")
    assert terminal.wait() == 0
    assert not (home / "x-file").exists()
    judged = [(event["text"], event["verdict"], event["source"]) for event in events(strict, "line")]
    assert judged[:2] == [("touch x-file", "deny", "editor"), ("echo x-file", "allow", "editor")]


def test_the_recording_shows_what_was_typed(strict: Broker, enter: Callable[..., Pty]) -> None:
    terminal = enter("bash")
    terminal.expect("target. ")
    terminal.send(b"echo reco\x08\x08cord\r")
    terminal.expect(r"[\r\n]record\r")
    terminal.send(b"exit\r")
    terminal.wait()
    cast = next(strict.data.rglob("*.cast")).read_text()
    shown = "".join(json.loads(line)[2] for line in cast.splitlines()[1:])
    assert "echo reco" in shown
    assert "5522" not in shown


@pytest.mark.parametrize("label", ["bash", "zsh"])
def test_nothing_is_left_on_the_target(label: str, enter: Callable[..., Pty], accounts: Accounts) -> None:
    home = accounts.add(label, shell=SHELLS[label]).home
    terminal = enter(label)
    terminal.expect("target. ")
    terminal.send(b"echo one\r")
    terminal.expect(r"[\r\n]one\r")
    terminal.send(b"exit\r")
    terminal.wait()
    for path in (path for path in home.rglob("*") if path.is_file()):
        assert b"gzip -d" not in path.read_bytes(), path


def test_a_reader_has_to_be_listed(enter: Callable[..., Pty]) -> None:
    listed = enter("bash", "listed")
    listed.expect("target. ")
    listed.send(b"dash\r")
    listed.expect("dash reads lines of its own, and is not among the readers of")
    listed.send(b"sh\r")
    listed.expect(r"\$ ")
    listed.send(b"touch y-file\r")
    listed.expect("BLOCKED  touch is not for this host")


def test_a_stream_is_judged_line_by_line(strict: Broker, accounts: Accounts, user_key: KeyPair) -> None:
    client = strict.client(f"{accounts.add('bash', shell=SHELLS['bash']).name}+lab", user_key)
    done = client.run(input=b"echo one\ntouch x\necho two\n")
    assert done.stdout.split()[-1:] == [b"one"]
    assert b"touch is not among" in done.stderr
    assert done.returncode == 77


@pytest.mark.parametrize("target", ["single", "lab"])
def test_exec_is_judged(target: str, strict: Broker, accounts: Accounts, user_key: KeyPair) -> None:
    """lesson 8: what a mode forbids, it forbids at every door."""
    client = strict.client(f"{accounts.add('bash', shell=SHELLS['bash']).name}+{target}", user_key)
    assert client.run("echo fine").stdout == b"fine\n"
    refused = client.run("touch z-file")
    assert (refused.returncode, b"touch is not among" in refused.stderr) == (77, True)
    assert client.run("sh -c 'echo inner'").stdout == b"inner\n"


def test_exec_opens_no_reader(strict: Broker, accounts: Accounts, user_key: KeyPair) -> None:
    client = strict.client(f"{accounts.add('bash', shell=SHELLS['bash']).name}+listed", user_key)
    reader = client.run("dash")
    assert reader.returncode == 77
    assert b"dash would read lines that are not judged; listed is in mode line" in reader.stderr
    assert client.run("dash -c 'echo inner'").stdout == b"inner\n"


def test_exec_only_gives_no_shell(strict: Broker, accounts: Accounts, user_key: KeyPair) -> None:
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    client = strict.client(f"{name}+single", user_key)
    done = client.run(input=b"echo one\n")
    assert done.returncode == 77
    assert f"single gives no shell, only single commands: ssh {name}+single@BASTION 'uptime'".encode() in (
        done.stderr
    )
    with client.pty() as terminal:
        terminal.expect("single gives no shell, only single commands")
        assert terminal.wait() == 77


def test_a_hook_that_is_lost_ends_the_session(
    enter: Callable[..., Pty], strict: Broker, accounts: Accounts
) -> None:
    home = Path(accounts.add("bash", shell=SHELLS["bash"]).home)
    (home / "unhook").write_text("PROMPT_COMMAND=\n")
    terminal = enter("bash", "listed")
    terminal.expect("target. ")
    terminal.send(b". ./unhook\r")
    terminal.expect("ENDED  the shell showed a prompt of its own")
    assert terminal.wait() == 77
    assert events(strict, "gate-lost")
