"""The line gate with a real client, the broker, a real sshd and real shells."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world.accounts import Accounts
from tests.world.broker import Broker
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd
from tests.world.terminal import Pty

pytestmark = pytest.mark.root

SHELLS = {"bash": "/bin/bash", "zsh": "/usr/bin/zsh", "fish": "/usr/bin/fish", "dash": "/bin/dash"}
POLICY = """\
version: 1
policies:
  - name: lab
    who: {users: [alice]}
    targets: {names: "*"}
    accounts: ["*"]
    channels: [shell, exec]
    opaque: allow
    commands:
      - name: no-touch
        deny: {program: touch}
        reason: touch is not for this host
"""


@pytest.fixture
def gated(broker: Broker, sshd: Sshd, accounts: Accounts, user_key: KeyPair, target_key: KeyPair) -> Broker:
    """A broker with one rule, and a target with an account per shell."""
    made = [accounts.add(label, shell=shell) for label, shell in SHELLS.items()]
    broker.target("lab", sshd, accounts=[account.name for account in made])
    broker.policy("lab", POLICY)
    broker.cli("users", "add", "alice", "--key", str(user_key.path) + ".pub")
    broker.cli("secrets", "add", "lab", "--kind", "private-key", "--file", str(target_key.path))
    return broker.start()


@pytest.fixture
def enter(gated: Broker, accounts: Accounts, user_key: KeyPair) -> Iterator[Callable[[str], Pty]]:
    """A terminal in a session of the account with that shell."""
    opened: list[Pty] = []

    def open_session(label: str) -> Pty:
        name = accounts.add(label, shell=SHELLS[label]).name
        client = gated.client(f"{name}+lab", user_key)
        terminal = client.pty()
        opened.append(terminal)
        return terminal

    yield open_session
    for terminal in opened:
        terminal.close()


def lines_of(broker: Broker) -> list[dict[str, object]]:
    """The judged lines of all sessions, in order."""
    found = [json.loads(line) for path in sorted(broker.data.rglob("*.events")) for line in path.open()]
    return [event for event in found if event["kind"] == "line"]


def judged_by(broker: Broker) -> set[object]:
    """The sources of all judged lines."""
    return {event["source"] for event in lines_of(broker)}


@pytest.mark.parametrize("label", SHELLS)
def test_blocked_edited_run(
    label: str, gated: Broker, enter: Callable[[str], Pty], accounts: Accounts
) -> None:
    home = accounts.add(label, shell=SHELLS[label]).home
    terminal = enter(label)
    terminal.send(b"touch x-file\r")
    terminal.expect(
        r"BLOCKED  touch is not for this host \(rule no-touch,[^)]*lab\.yaml:\d+\)\.\s+Nothing\s+sent\."
    )
    terminal.expect(r"target\$ ")
    terminal.send(b"\x1b[A")
    terminal.expect(r"x-file")
    terminal.send(b"\x15echo edi'ted'\r")
    terminal.expect(r"[\r\n]edited\r")
    assert not (home / "x-file").exists()
    terminal.send(b"exit\r")
    assert terminal.wait() == 0
    judged = [(event["text"], event["verdict"]) for event in lines_of(gated)]
    assert judged[:2] == [("touch x-file", "deny"), ("echo edi'ted'", "allow")]
    assert judged_by(gated) <= ({"keys+screen", "keys"} if label == "dash" else {"hook"})


@pytest.mark.parametrize("label", ["bash", "zsh", "fish"])
def test_the_hook_leaves_nothing_behind(label: str, enter: Callable[[str], Pty], accounts: Accounts) -> None:
    """No file, no history, nothing in the environment or the argument lists of the target."""
    home = accounts.add(label, shell=SHELLS[label]).home
    before = set(home.rglob("*"))
    terminal = enter(label)
    terminal.send(
        b"history | grep -c 'gzi[p] -d'; env | grep -c '552[2]'; "
        b"ps axww | grep -c '[b]ase64 -d'; echo e'nd'\r"
    )
    terminal.expect(r"[\r\n]0\r\n0\r\n0\r\nend\r")
    terminal.send(b"exit\r")
    terminal.wait()
    for path in {path for path in home.rglob("*") if path.is_file()}:
        assert b"gzip -d" not in path.read_bytes(), path
        assert path in before or "hist" in path.name or "fish" in str(path), path


def test_a_stream_without_a_terminal_stops_at_the_refused_line(
    gated: Broker, user_key: KeyPair, accounts: Accounts
) -> None:
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    client = gated.client(f"{name}+lab", user_key)
    done = client.run("sh", "-s", input=b"echo one\ntouch y-file\necho two\n")
    assert done.stdout.split() == [b"one"]
    assert re.search(
        rb"\[E-DENIED\] touch is not for this host \(rule no-touch, \S*lab.yaml:\d+\)", done.stderr
    )
    assert done.returncode == 77
    assert not (Path(accounts.add("bash", shell=SHELLS["bash"]).home) / "y-file").exists()


def test_rules_for_lines_refuse_a_shell_that_cannot_be_gated(
    gated: Broker, sshd: Sshd, accounts: Accounts, user_key: KeyPair
) -> None:
    """lesson 8: a condition that cannot be enforced at a door closes it."""
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    gated.target("lab", sshd, accounts=[name], gate="off")
    gated.restart()
    done = gated.client(f"{name}+lab", user_key).run(input=b"echo one\n")
    assert done.returncode == 77
    assert b"has rules for command lines, and none are read here (gate is off)" in done.stderr


def test_a_session_shows_how_its_lines_are_judged(
    gated: Broker, enter: Callable[[str], Pty], accounts: Accounts
) -> None:
    terminal = enter("bash")
    terminal.send(b"echo se'en'\r")
    terminal.expect(r"[\r\n]seen\r")
    terminal.send(b"touch x\r")
    terminal.expect("BLOCKED")
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    [id] = [json.loads(line)["id"] for line in gated.cli("sessions", "ls", "--json").stdout.splitlines()]
    shown = json.loads(gated.cli("sessions", "show", id, "--json").stdout)
    assert (shown["user"], shown["target"], shown["account"]) == ("alice", "lab", name)
    lines = shown["lines"]
    assert (lines["mode"], lines["source"], lines["verdict"]) == ("hook", "hook", "deny")
    assert (lines["last"], lines["rule"], lines["allowed"], lines["denied"]) == ("touch x", "no-touch", 1, 1)
    told = dict(line.split("\t") for line in gated.cli("sessions", "show", id).stdout.splitlines())
    assert (told["lines: mode"], told["lines: denied"], told["account"]) == ("hook", "1", name)
