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
      - name: careful
        warn: {program: date}
        reason: The clock is not ours.
        channels: exec
      - name: watched
        deny: {program: date}
        observe: true
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
        assert b"base64 -d | gzip -d" not in path.read_bytes(), path
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


def test_a_single_command_that_a_rule_warns_of_runs_and_is_noted(
    gated: Broker, user_key: KeyPair, accounts: Accounts
) -> None:
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    done = gated.client(f"{name}+lab", user_key).run("date -d 2001-02-03 +%Y; echo ran")
    assert (done.returncode, done.stdout.split()) == (0, [b"2001", b"ran"])
    assert done.stderr == b"bartizan: [WARNING] The clock is not ours. (rule careful)\n"
    (path,) = gated.data.rglob("*.events")
    (kept,) = [event for event in map(json.loads, path.open()) if event["kind"] == "command"]
    assert (kept["verdict"], kept["rule"], kept["origin"]) == ("warn", "careful", "lab.yaml:13")
    assert kept["observed"] == ["watched"]
    on_terminal = gated.client(f"{name}+lab", user_key).pty("date -d 2001-02-03 +%Y")
    on_terminal.expect(r"WARNING  The clock is not ours\. \(rule careful\)")
    on_terminal.expect(r"2001")
    assert on_terminal.wait() == 0


def test_changed_policies_are_asked_about_what_was_really_typed(
    gated: Broker, enter: Callable[[str], Pty], accounts: Accounts, user_key: KeyPair
) -> None:
    terminal = enter("bash")
    terminal.send(b"echo o'ne'\r")
    terminal.expect(r"[\r\n]one\r")
    terminal.send(b"touch z-file\r")
    terminal.expect(r"Nothing\s+sent")
    terminal.expect(r"target\$ ")
    terminal.send(b"exit\r")
    terminal.wait()
    name = accounts.add("bash", shell=SHELLS["bash"]).name
    gated.client(f"{name}+lab", user_key).run("echo two")
    changed = POLICY.replace("touch", "echo").replace("no-touch", "no-echo")
    (gated.place / "changed.yaml").write_text(changed)
    done = gated.cli("policy", "replay", "--against", "changed.yaml", check=False)
    assert done.returncode == 1
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert [(row[4], row[5], row[6], row[8], row[9]) for row in rows] == [
        ("line", "allow", "deny", "changed.yaml:10", "echo o'ne'"),
        ("line", "deny", "allow", "changed.yaml:3", "touch z-file"),
        ("command", "allow", "deny", "changed.yaml:10", "echo two"),
    ]
    same = gated.cli("policy", "replay", "--against", "policies")
    assert same.stdout == ""
    assert "0 of 3 lines, 0 of 1 commands and 0 of 1 sessions" in same.stderr


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
