"""`bartizan users`, `keys` and `secrets`: what they change, refuse, print and note."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from broker.adapters.master_key import generate_master_key
from broker.commands.secrets import secrets
from broker.model.identity import Kind
from broker.model.secret import SecretKind
from tests.fakes.admin import GROUPS, ME, World
from tests.fakes.secrets import found_in, grant
from tests.world.keys import KeyPair, certify, make_key
from tests.world.terminal import Pty

SEED = "correct-horse-battery-staple"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    generate_master_key(tmp_path / "master.key")
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    return make_key(tmp_path)


def pub(pair: KeyPair) -> str:
    return f"{pair.path}.pub"


# --- users ---


def test_a_user_is_added_with_its_key_and_listed(world: World, pair: KeyPair) -> None:
    words = ("--group", "ops", "--group", "dba", "--admin", "--unix-user", "a.nne", "--key", pub(pair))
    assert world.ok("users", "add", "anne", *words) == "added the user anne\n"
    user = world.open_store().user("anne")
    assert user is not None
    assert (user.groups, user.admin, user.unix_user) == (frozenset({"ops", "dba"}), True, "a.nne")
    assert user.kind is Kind.HUMAN
    assert [key.fingerprint for key in world.open_store().keys("anne")] == [pair.fingerprint]
    assert world.codes() == [f"{ME} users.added anne", f"{ME} keys.added anne"]


def test_an_agent_is_no_administrator(world: World) -> None:
    assert "agent cannot be" in world.refused("users", "add", "ci", "--agent", "--admin")
    world.ok("users", "add", "ci", "--agent")
    user = world.open_store().user("ci")
    assert user is not None
    assert user.kind is Kind.AGENT


def test_a_user_whose_key_is_refused_is_not_added(world: World, pair: KeyPair) -> None:
    world.ok("users", "add", "anne", "--key", pub(pair))
    assert "bound to anne" in world.refused("users", "add", "bob", "--key", pub(pair))
    assert "private key" in world.refused("users", "add", "bob", "--key", str(pair.path))
    assert world.open_store().user("bob") is None


@pytest.mark.parametrize("name", ["../x", "Anne", "a b", "a\x1b[2Jb", "an\u202ene", "", "a" * 65, "ànne"])
def test_a_name_that_is_none_is_refused_everywhere(world: World, name: str) -> None:
    """lesson 31, lesson 13"""
    for words in (("users", "add", name), ("users", "lock", name), ("users", "add", "anne", "--group", name)):
        message = world.refused(*words)
        assert message.isprintable()
    assert world.open_store().users() == []


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\x07", "a/b"])
def test_a_unix_user_that_no_host_can_have_is_refused(world: World, name: str) -> None:
    world.refused("users", "add", "anne", "--unix-user", name)


def test_a_user_is_locked_and_unlocked_with_its_reason(world: World) -> None:
    world.ok("users", "add", "anne")
    assert world.ok("users", "lock", "anne", "--reason", "left") == "locked the user anne\n"
    (event,) = world.open_store().events(limit=1)
    assert (event.code, event.detail["reason"]) == ("users.locked", "left")
    user = world.open_store().user("anne")
    assert user is not None
    assert user.locked_at is not None
    world.ok("users", "unlock", "anne")
    user = world.open_store().user("anne")
    assert user is not None
    assert user.locked_at is None
    assert "no user bob" in world.refused("users", "lock", "bob")
    assert "control" in world.refused("users", "lock", "anne", "--reason", "a\x1b[31m")


def test_users_are_listed_as_tsv_and_as_json_lines(world: World) -> None:
    world.ok("users", "add", "anne", "--group", "ops")
    world.ok("users", "add", "bob", "--agent")
    lines = [line.split("\t") for line in world.ok("users", "ls").splitlines()]
    assert [line[:7] for line in lines] == [
        ["anne", "human", "no", "ops", "0", "", ""],
        ["bob", "agent", "no", "", "0", "", ""],
    ]
    rows = [json.loads(line) for line in world.ok("users", "ls", "--json").splitlines()]
    assert [(row["v"], row["name"], row["groups"], row["locked_at"]) for row in rows] == [
        (1, "anne", ["ops"], None),
        (1, "bob", [], None),
    ]
    assert rows[0]["created_at"].endswith("Z")


def test_every_verb_can_answer_in_json(world: World, pair: KeyPair) -> None:
    world.json = True
    for words in (
        ("users", "add", "anne"),
        ("keys", "add", "anne", pub(pair)),
        ("users", "lock", "anne"),
        ("users", "ls"),
        ("keys", "ls"),
        ("keys", "rm", pair.fingerprint),
        ("secrets", "ca", "init"),
        ("secrets", "ca", "show"),
        ("secrets", "rotate", "--master"),
        ("secrets", "ls"),
        ("secrets", "rm", "broker-ca"),
        ("secrets", "master-key", str(world.folder / "next.key")),
    ):
        assert json.loads(world.ok(*words))["v"] == 1


# --- keys ---


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_is_added_listed_and_removed(world: World, tmp_path: Path, kind: str) -> None:
    pair = make_key(tmp_path, kind=kind)
    world.ok("users", "add", "anne")
    assert (
        world.ok("keys", "add", "anne", "-", input=pair.public)
        == f"added the key {pair.fingerprint} for anne\n"
    )
    (key,) = world.open_store().keys()
    assert (key.line, key.comment, key.user) == (pair.bare, "id", "anne")
    assert world.ok("keys", "ls", "anne").split("\t")[:4] == [
        pair.fingerprint,
        "anne",
        pair.bare.split()[0],
        "id",
    ]
    world.ok("keys", "rm", pair.fingerprint)
    assert world.ok("keys", "ls") == ""
    assert world.codes()[1:] == [f"{ME} keys.added anne", f"{ME} keys.removed anne"]
    assert "no key" in world.refused("keys", "rm", pair.fingerprint)
    assert "no user" in world.refused("keys", "ls", "bob")


def test_a_key_names_one_user(world: World, pair: KeyPair) -> None:
    world.ok("users", "add", "anne", "--key", pub(pair))
    world.ok("users", "add", "bob")
    assert "bound to anne already" in world.refused("keys", "add", "bob", pub(pair))
    assert "no user zoe" in world.refused("keys", "add", "zoe", "-", input=make_key(world.folder, "z").public)


def test_what_is_no_good_public_key_is_refused_with_its_reason(world: World, pair: KeyPair) -> None:
    world.ok("users", "add", "anne")
    weak = world.folder / "weak"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(weak)], check=True)
    certificate = certify(make_key(world.folder, "ca"), pair, identity="x", principals=("anne",))
    dss = "ssh-dss AAAAB3NzaC1kc3MAAAADAQABAAAAAwEAAQAAAAMBAAEAAAADAQAB"
    private = pair.path.read_text()
    for text, reason in (
        (private, "this is a private key"),
        (weak.with_suffix(".pub").read_text(), "2048 bits or more; this one has 1024"),
        (certificate.read_text(), "certificate, not a key"),
        (dss, "(ssh-dss are not taken|no public key)"),
        (f"{pair.public}\n{pair.public}", "more than one line"),
        (f'command="id" {pair.public}', "no public key in OpenSSH form"),
        (f"{pair.bare} a\x1b[2Jb", "control or invisible"),
        (f"{pair.bare} a\u202eb", "control or invisible"),
        (f"{pair.bare} {'x' * 600}", "at most 500"),
        ("", "no public key"),
        ("ssh-ed25519 AAAA", "no public key"),
        ("x" * 200_000, "bytes"),
    ):
        message = world.refused("keys", "add", "anne", "-", input=text)
        assert re.search(reason, message), message
        assert private.splitlines()[2] not in message
    assert "not text" in world.refused("keys", "add", "anne", "-", input=b"\xff\xfe")
    assert world.open_store().keys() == []


# --- secrets ---


def test_a_password_is_read_from_stdin_or_a_file(world: World) -> None:
    assert (
        world.ok("secrets", "add", "db", "--kind", "password", input=f"{SEED}\n") == "added the secret db\n"
    )
    (world.folder / "pw").write_text(f"{SEED}2\r\n")
    world.ok("secrets", "add", "api", "--kind", "password", "--file", str(world.folder / "pw"))
    assert (world.opened("db"), world.opened("api")) == (SEED.encode(), f"{SEED}2".encode())
    assert [line.split("\t")[:2] for line in world.ok("secrets", "ls").splitlines()] == [
        ["api", "password"],
        ["db", "password"],
    ]
    assert world.codes() == [f"{ME} secrets.added db", f"{ME} secrets.added api"]


def test_a_secret_is_added_once_and_rotated_by_name(world: World, pair: KeyPair) -> None:
    world.ok("secrets", "add", "web", "--kind", "private-key", "--file", str(pair.path))
    assert "already" in world.refused("secrets", "add", "web", "--kind", "password", input="x")
    newer = make_key(world.folder, "newer")
    world.ok("secrets", "rotate", "web", "--file", str(newer.path))
    assert b"PRIVATE KEY" in world.opened("web")
    assert "no private key" in world.refused("secrets", "rotate", "web", input="not a key")
    assert "no secret 'nope'" in world.refused("secrets", "rotate", "nope", input="x")
    assert "which secret" in world.refused("secrets", "rotate")
    assert "without a name" in world.refused("secrets", "rotate", "web", "--master")
    world.ok("secrets", "rm", "web")
    assert "no secret" in world.refused("secrets", "rm", "web")
    assert [code.split()[1] for code in world.codes()] == [
        "secrets.added",
        "secrets.rotated",
        "secrets.removed",
    ]


def test_a_protected_key_is_refused_where_nobody_can_be_asked(world: World, tmp_path: Path) -> None:
    pair = make_key(tmp_path, passphrase="hunter22")
    words = ("secrets", "add", "web", "--kind", "private-key", "--file", str(pair.path))
    assert "ssh-keygen -p" in world.refused(*words)


def test_the_master_key_is_rotated(world: World) -> None:
    world.ok("secrets", "add", "db", "--kind", "password", input=SEED)
    key = world.folder / "master.key"
    key.rename(world.folder / "old.key")
    assert world.ok("secrets", "master-key", str(key)) == f"wrote a new master key to {key}\n"
    assert world.ok("secrets", "rotate", "--master") == "1 secrets wrapped with the newest master key\n"
    (world.folder / "old.key").unlink()
    assert world.opened("db") == SEED.encode()
    assert world.codes()[-1] == f"{ME} secrets.rewrapped "


def test_the_ca_is_made_once_and_its_public_line_shown(world: World) -> None:
    assert "secrets ca init" in world.refused("secrets", "ca", "show")
    line = world.ok("secrets", "ca", "init")
    assert line.startswith("ssh-ed25519 AAAA")
    assert world.ok("secrets", "ca", "show") == line
    assert "already" in world.refused("secrets", "ca", "init")
    assert "broker's own" in world.refused("secrets", "add", "broker-ca", "--kind", "password", input="x")


def test_a_secret_leaves_no_trace(world: World, pair: KeyPair) -> None:
    """lesson 37: neither in a file, nor in what is printed, nor in the audit."""
    secret_line = pair.path.read_text().splitlines()[2]
    shown = [
        world.ok("secrets", "add", "db", "--kind", "password", input=SEED),
        world.ok("secrets", "add", "web", "--kind", "private-key", "--file", str(pair.path)),
        world.ok("secrets", "rotate", "db", input=f"{SEED}-new"),
        world.ok("secrets", "rotate", "--master"),
        world.ok("secrets", "ls", "--json"),
        world.refused("secrets", "add", "db", "--kind", "password", input=SEED),
        world.refused("secrets", "rotate", "web", input=SEED),
        world.ok("secrets", "rm", "db"),
        repr(world.open_store().events()),
    ]
    for seed in (SEED, secret_line):
        assert not [text for text in shown if seed in text]
        assert found_in(world.folder / "data", seed.encode()) == []


def at_terminal(world: World, answers: list[tuple[str, str]], *words: str) -> str:
    """Run a verb on a terminal of its own, answering each prompt; what the terminal showed."""
    program = [sys.executable, "-m", "tests.fakes.admin", str(world.folder), *words]
    with Pty(program, env=dict(os.environ), size=(24, 200)) as terminal:
        for prompt, answer in answers:
            terminal.expect(prompt)
            terminal.send(f"{answer}\n".encode())
        assert terminal.wait() == 0, terminal.seen
        return terminal.seen.decode()


def test_a_password_is_asked_for_hidden_and_twice(world: World) -> None:
    answers = [("Value: ", SEED), ("Again: ", SEED)]
    shown = at_terminal(world, answers, "secrets", "add", "db", "--kind", "password")
    assert SEED not in shown
    assert shown.endswith("added the secret db\r\n")
    assert world.opened("db") == SEED.encode()


def test_a_passphrase_is_asked_for_once_and_not_kept(world: World, tmp_path: Path) -> None:
    pair = make_key(tmp_path, passphrase="hunter22-long-enough")
    words = ("secrets", "add", "web", "--kind", "private-key", "--file", str(pair.path))
    shown = at_terminal(world, [("Passphrase of the key: ", "hunter22-long-enough")], *words)
    assert "hunter22" not in shown
    assert b"PRIVATE KEY" in world.opened("web")
    assert world.open_vault().fetch(grant("web")).kind is SecretKind.PRIVATE_KEY
    assert found_in(world.folder / "data", b"hunter22-long-enough") == []


def test_a_terminal_gets_a_table(world: World) -> None:
    world.ok("users", "add", "anne", "--group", "ops")
    shown = at_terminal(world, [], "users", "ls").splitlines()
    assert shown[0].split() == [
        *(
            "NAME",
            "KIND",
            "ADMIN",
            "GROUPS",
            "KEYS",
            "UNIX",
            "USER",
            "PERSON",
            "LOCKED",
            "AT",
            "CREATED",
            "AT",
        )
    ]
    assert shown[1].split()[:7] == ["anne", "human", "no", "ops", "0", "-", "-"]


def verbs(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from verbs(command)
        yield command


def test_every_verb_has_an_example_and_takes_no_value_as_an_argument() -> None:
    for group in GROUPS.values():
        for command in [group, *verbs(group)]:
            assert re.search(r"Example: .*bartizan ", command.help or ""), command.name
    options = {option for command in verbs(secrets) for p in command.params for option in p.opts}
    assert options == {"name", "path", "--kind", "--file", "--json", "--master"}
