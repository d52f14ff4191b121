"""What may be asked on the control socket: the table, whole, and the page that tells it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from broker.control.permits import ADMIN_ONLY, PERMITS, Role, permitted
from broker.wire import messages as wire
from broker.wire.codec import MAX_ANSWER, MAX_FRAME
from broker.wire.messages import Ask, Attach, FromBroker, FromClient, KillSession, Message, OpenTarget

PAGE = (Path(__file__).parents[2] / "docs" / "control-protocol.md").read_text()

ASKS: frozenset[type[Message]] = frozenset(get_args(Ask))
CLIENT: frozenset[type[Message]] = frozenset(get_args(FromClient)) | ASKS
EVERY: list[type[Message]] = sorted(
    (
        kind
        for kind in vars(wire).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
    ),
    key=lambda kind: kind.__name__,
)


def tag(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)


def may(admin: bool, role: Role) -> set[str]:
    return {tag(kind) for kind in EVERY if permitted(role, admin, kind)}


READ = {"list-targets", "list-sessions", "list-recordings", "read-recording", "verify-recording"}


@pytest.mark.parametrize(
    ("role", "admin", "expected"),
    [
        (Role.PICKER, False, READ | {"open-target"}),
        (Role.PICKER, True, READ | {"open-target"}),
        (Role.VERB, False, READ),
        (Role.VERB, True, READ | {"kill-session"}),
        (Role.PEER, False, READ | {"attach"}),
        (Role.PEER, True, READ | {"attach", "kill-session"}),
        (Role.ROOT, True, READ | {"kill-session"}),
        (Role.ROOT, False, READ),
    ],
)
def test_the_whole_table(role: Role, admin: bool, expected: set[str]) -> None:
    """lesson 8: everything that is not written here is refused, whoever sends it."""
    assert may(admin, role) == expected


def test_every_message_is_in_the_table_or_refused_to_all() -> None:
    """A new ask without a row is found here; envelopes, answers and streams are no row."""
    listed = frozenset().union(*PERMITS.values(), ADMIN_ONLY)
    assert listed == ASKS | {Attach}
    for kind in EVERY:
        anyone = any(permitted(role, admin, kind) for role in Role for admin in (False, True))
        assert anyone is (kind in listed), kind


def test_every_role_has_a_row() -> None:
    assert set(PERMITS) == set(Role)


def test_only_a_picker_opens_and_only_a_peer_attaches() -> None:
    assert {role for role in Role if permitted(role, True, OpenTarget)} == {Role.PICKER}
    assert {role for role in Role if permitted(role, True, Attach)} == {Role.PEER}
    assert not any(permitted(role, False, KillSession) for role in Role)


# ---------------------------------------------------------------- docs/control-protocol.md


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its first two lines."""
    text = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_page_lists_each_ask_with_its_roles_and_answer() -> None:
    told = {row[0].strip("`"): row for row in rows("Asks")}
    assert set(told) == {tag(kind) for kind in ASKS}
    for kind in ASKS:
        _, roles, answer, _ = told[tag(kind)]
        names, _, admin = roles.partition("; ")
        able = {role.value for role in Role if permitted(role, True, kind)}
        assert set(names.split(", ")) == able, kind
        assert (admin == "admin") is (kind in ADMIN_ONLY), kind
        promised = re.search(r"→ `(\w+)`", kind.__doc__ or "")
        assert promised, f"{kind.__name__} does not say what it is answered with"
        assert answer.strip("`") == tag(getattr(wire, promised[1]))


def test_the_page_lists_each_role_and_each_message_of_an_attached_connection() -> None:
    assert {row[0].strip("`") for row in rows("Who asks")} == {role.value for role in Role}
    told = {row[0].strip("`"): row[1] for row in rows("Attaching")}
    opening = {"hello", "request"}
    assert {name for name, side in told.items() if side.startswith("client")} == {
        tag(kind) for kind in get_args(FromClient)
    } - opening
    assert {name for name, side in told.items() if side == "broker"} == {
        tag(kind) for kind in get_args(FromBroker)
    } - {"welcome", "reply", "failure"}


def test_the_page_tells_the_version_and_the_bounds() -> None:
    assert f"Version {wire.VERSION}." in PAGE
    assert f"at most {MAX_FRAME >> 20} MiB, the broker's at most {MAX_ANSWER >> 20} MiB" in PAGE
