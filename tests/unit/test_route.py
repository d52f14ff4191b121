"""What a login asks for, from its name and its command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model.target import Channel
from broker.services.route import Asked, Nowhere, Route, ToPicker, ToTarget, ToVerb, named_user, route

TARGETS = {"web", "db-1", "alice", "ls"}


def ask(login: str, command: bytes | None = None, *, terminal: bool = True) -> Route:
    return route(Asked(login, command, terminal), "alice", TARGETS.__contains__)


def shell(target: str, account: str | None = None) -> ToTarget:
    return ToTarget(target, account, Channel.SHELL, None)


def run(target: str, command: bytes, account: str | None = None) -> ToTarget:
    return ToTarget(target, account, Channel.EXEC, command)


@pytest.mark.parametrize(
    ("login", "command", "leads"),
    [
        ("alice", None, ToPicker()),
        ("alice", b"", ToPicker()),
        ("web", None, shell("web")),
        ("nowhere", None, shell("nowhere")),
        ("root+web", None, shell("web", "root")),
        ("alice+web", None, shell("web")),
        ("alice+root+web", None, shell("web", "root")),
        ("a+b+web", None, shell("web", "a+b")),
        ("alice+alice", None, ToPicker()),
        ("web", b"uptime", run("web", b"uptime")),
        ("root+web", b"web uptime", run("web", b"web uptime", "root")),
        ("alice", b"web", shell("web")),
        ("alice", b"web uptime -p", run("web", b"uptime -p")),
        ("alice", b"root+web uptime", run("web", b"uptime", "root")),
        ("alice", b"web  uptime", run("web", b"uptime")),
        ("alice", b"-- web uptime", run("web", b"uptime")),
        ("alice", b"-- ls true", run("ls", b"true")),
        ("alice", b"ls", ToVerb("ls")),
        ("alice", b"ls web", ToVerb("ls web")),
        ("alice", b"recordings cat S-1", ToVerb("recordings cat S-1")),
        ("alice", b"users add eve", Nowhere("users")),
        ("alice", b"uptime", Nowhere("uptime")),
        ("alice", b"uptime web", Nowhere("uptime")),
        ("whoever", b"web uptime", run("web", b"uptime")),
        ("whoever", b"uptime", Nowhere("uptime")),
        ("alice", b"nowhere+web2 x", Nowhere("nowhere+web2")),
        ("", b"web uptime", run("web", b"uptime")),
        ("+", b"uptime", ToTarget("", "", Channel.EXEC, b"uptime")),
    ],
)
def test_forms(login: str, command: bytes | None, leads: Route) -> None:
    assert ask(login, command) == leads


@pytest.mark.parametrize(
    ("command", "channel"),
    [
        (b"scp -t /tmp", Channel.SCP),
        (b"scp -f a b", Channel.SCP),
        (b"scp -t x; bash", Channel.EXEC),
        (b"scp -t $(id)", Channel.EXEC),
        (b"scp -S sh -t x", Channel.EXEC),
        (b"scp -t x > y", Channel.EXEC),
        (b"sh -c 'scp -t x'", Channel.EXEC),
        (b"scp", Channel.EXEC),
    ],
)
def test_file_copy_is_told_from_a_command(command: bytes, channel: Channel) -> None:
    """lesson 11: by the whole line, never by how it begins; by login name and by word alike."""
    for leads in (ask("web", command), ask("alice", b"web " + command)):
        assert isinstance(leads, ToTarget)
        assert (leads.channel, leads.command) == (channel, command)


@given(st.binary(min_size=1).filter(lambda b: not b.startswith(b" ")))
def test_command_is_passed_on_byte_for_byte(command: bytes) -> None:
    leads = ask("web", command)
    assert isinstance(leads, ToTarget)
    assert leads.command == command
    by_word = ask("alice", b"web " + command)
    assert isinstance(by_word, ToTarget)
    assert by_word.command == command


@given(st.text(), st.none() | st.binary())
def test_any_request_leads_somewhere(login: str, command: bytes | None) -> None:
    """lesson 31: no name and no command makes it fail, and a word leads only to what exists."""
    leads = ask(login, command)
    if isinstance(leads, ToTarget) and leads.target not in TARGETS:
        assert "+" in login or leads.target == login


@pytest.mark.parametrize(
    ("login", "user"),
    [
        ("alice", "alice"),
        ("alice+web", "alice"),
        ("web", None),
        ("web+alice", None),
        ("", None),
        ("Alice", None),
    ],
)
def test_user_that_a_login_name_spells_out(login: str, user: str | None) -> None:
    assert named_user(login, {"alice"}.__contains__) == user
