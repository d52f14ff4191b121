"""`bartizan policy replay`: recorded sessions, commands and lines asked about again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.commands.context import Context
from broker.commands.policy import policy as policy_group
from broker.model.errors import InvalidConfig
from broker.model.session import SessionRow
from broker.services.evidence import recording_path
from recorder.cast import Header
from recorder.writer import open_recording
from tests.fakes.store import FakeStore
from tests.signer import SIGNER
from tests.unit.policies import policy
from tests.unit.rows import NOW, row, user

DAY = 24 * 3600 * 1_000_000
SECOND = 1_000_000


@dataclass
class Past(Context):
    """A configuration, a store and recordings in a folder."""

    store: FakeStore = field(default_factory=FakeStore)

    def open_store(self) -> FakeStore:
        return self.store

    @property
    def folder(self) -> Path:
        return self.config_path.parent

    def policies(self, name: str, *policies: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("version: 1\npolicies:\n" + "".join(policies))
        return path

    def recorded(self, *events: tuple[str, dict[str, Any]], **changed: object) -> str:
        """A recorded session, one event a second; its id."""
        made = row(recording="x", **changed)
        id = self.store.open_session(made)
        kept = self.store.session(id)
        assert isinstance(kept, SessionRow)
        path = recording_path(self.folder / "data" / "recordings", kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        live = open_recording(
            path.parent, id, Header(width=80, height=24), {}, terminal=True, keep_bytes=None, signer=SIGNER
        )
        for number, (kind, fields) in enumerate(events):
            live.event(number * SECOND, kind, **fields)
        live.close(len(events) * SECOND, "exit")
        return id

    def replay(self, *words: str) -> Result:
        return CliRunner().invoke(policy_group, ["replay", *words], obj=self)

    def differing(self, *words: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        result = self.replay(*words, "--json")
        assert result.exit_code in (0, 1), result
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert (result.exit_code == 1) is (len(rows) > 1)
        return rows[:-1], rows[-1]


def line(text: str, verdict: str = "allow", **fields: object) -> tuple[str, dict[str, Any]]:
    return "line", {"text": text, "verdict": verdict, "rule": "", "source": "hook", **fields}


WEB = {"who": "{groups: ops}", "targets": "{names: 'web*'}"}


@pytest.fixture
def past(tmp_path: Path) -> Past:
    made = Past(tmp_path / "bartizan.yaml")
    made.config_path.write_text("data: data\ntargets: targets\npolicies: policies\n")
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "all.yaml").write_text(
        "targets:\n"
        "  - {name: web1, address: 10.0.0.1, accounts: [deploy, root], credential: ca}\n"
        "  - {name: web2, address: 10.0.0.2, accounts: [deploy], credential: ca}\n"
    )
    made.policies("policies/p.yaml", policy(**WEB, commands="[{deny: {program: shutdown}}]"))
    made.store.add_user(user("anne", "ops"))
    made.store.add_user(user("ben", "ops"))
    return made


def test_each_line_that_would_be_answered_differently_is_told(past: Past) -> None:
    id = past.recorded(line("ls"), line("rm -r x"), line("shutdown now", "deny"), line("rm y"))
    rules = "[{name: no-rm, hold: {program: rm, args: '-r'}, approval: {from: {groups: dba}}, reason: Ask.}]"
    past.policies("new.yaml", policy(**WEB, commands=rules))
    rows, summary = past.differing("--against", str(past.folder / "new.yaml"))
    assert [(one["kind"], one["text"], one["old"], one["new"], one["rule"]) for one in rows] == [
        ("line", "rm -r x", "allow", "hold", "no-rm"),
        ("line", "shutdown now", "deny", "allow", "ops"),
    ]
    first = rows[0]
    assert (first["session"], first["user"], first["target"]) == (id, "anne", "deploy+web1")
    assert (first["at"], first["origin"], first["reason"]) == ("2027-01-15T08:00:01Z", "new.yaml:8", "Ask.")
    assert summary == {
        "v": 1,
        "kind": "summary",
        "asked": {"session": 1, "line": 4},
        "differ": {"line": 2},
        "skipped": {},
    }


def test_sessions_and_single_commands_are_asked_about_at_their_moment(past: Past) -> None:
    past.recorded(line("rm x"), started_at=NOW)
    past.recorded(started_at=NOW + DAY)
    past.recorded(("command", {"verdict": "warn"}), started_at=NOW, channel="exec", command="date")
    past.recorded(started_at=NOW + DAY, channel="exec", command="reboot")
    past.policies("new.yaml", policy(**WEB, when="{days: fri}", commands="[{deny: {program: date}}]"))
    rows, summary = past.differing("--against", str(past.folder / "new.yaml"))
    assert [(one["kind"], one["text"], one["old"], one["new"], one["reason"][:13]) for one in rows] == [
        ("session", "", "allow", "deny", "window closed"),
        ("command", "date", "warn", "deny", "date is denie"),
        ("command", "reboot", "allow", "deny", "window closed"),
    ]
    assert summary["asked"] == {"session": 2, "command": 2, "line": 1}
    approved = policy(**WEB, approval="{open: {from: {groups: dba}}}")
    past.policies("new.yaml", approved)
    rows, _ = past.differing("--against", str(past.folder / "new.yaml"))
    assert [(one["kind"], one["new"]) for one in rows] == [
        ("session", "need-approval"), ("session", "need-approval"), ("command", "hold"), ("command", "hold"),
    ]  # fmt: skip


def test_what_the_policies_in_force_say_too_is_no_difference(past: Past) -> None:
    past.recorded(line("shutdown"), line("ls", "deny"))
    unchanged = past.folder / "policies" / "p.yaml"
    rows, summary = past.differing("--against", str(unchanged))
    assert (rows, summary["asked"]["line"]) == ([], 2)


def test_a_file_takes_the_place_of_namesakes_and_a_folder_of_all(past: Past) -> None:
    past.policies("policies/q.yaml", policy(name="more", **WEB, commands="[{deny: {program: halt}}]"))
    past.recorded(line("halt", "deny"), line("shutdown", "deny"))
    past.policies("new/p.yaml", policy(**WEB))
    file, _ = past.differing("--against", str(past.folder / "new" / "p.yaml"))
    assert [one["text"] for one in file] == ["shutdown"]
    folder, _ = past.differing("--against", str(past.folder / "new"))
    assert [one["text"] for one in folder] == ["halt", "shutdown"]


def test_what_cannot_be_asked_about_is_counted(past: Past) -> None:
    past.recorded(
        line("", secret=True), line("", secret=True), line("?", "doubt"), line("x" * 4096), line("ls")
    )
    past.recorded(user="zoe")
    past.recorded(target="gone")
    past.recorded(channel="exec", command="ls")
    for path in sorted((past.folder / "data").rglob("*.events"))[-1:]:
        path.write_bytes(b"no json\n" + path.read_bytes())
    _, summary = past.differing("--against", str(past.folder / "policies"))
    assert summary["asked"] == {"session": 1, "line": 1}
    assert summary["skipped"] == {
        "lines typed without echo, which are not kept": 2,
        "lines that could not be read": 1,
        "lines longer than what is kept of them": 1,
        "sessions of users that are gone": 1,
        "sessions of targets that are gone": 1,
        "sessions whose recording cannot be read": 1,
    }
    past.policies("new.yaml", policy(name="ops", who="{users: nobody}", targets="{names: web1}"))
    rows, summary = past.differing("--against", str(past.folder / "new.yaml"))
    assert [one["kind"] for one in rows] == ["session"]
    assert summary["skipped"]["lines of sessions that would not have been opened"] == 1


def test_filters(past: Past) -> None:
    past.recorded(started_at=NOW)
    past.recorded(started_at=NOW + 2 * DAY, target="web2")
    past.recorded(started_at=NOW + 2 * DAY, user="ben")
    new = str(past.policies("new.yaml", policy(name="ops", who="{users: nobody}", targets="{names: web1}")))

    def found(*words: str) -> list[tuple[str, str]]:
        rows, _ = past.differing("--against", new, *words)
        return [(one["user"], one["target"]) for one in rows]

    one, two, three = ("anne", "deploy+web1"), ("anne", "deploy+web2"), ("ben", "deploy+web1")
    assert found() == [one, two, three]
    assert found("--since", "2027-01-16") == [two, three]
    assert found("--since", "1d") == [one, two, three]
    assert found("--user", "ben") == [three]
    assert found("--target", "*2") == [two]
    refused = past.replay("--against", new, "--since", "soon")
    assert refused.exit_code == 2
    assert "expected a time span such as 7d or a day such as 2026-11-01, got 'soon'" in refused.stderr


def test_for_people_the_counts_and_for_pipes_a_row_each(past: Past) -> None:
    """lesson 13: what was typed is shown, never obeyed."""
    past.recorded(line("rm \x1b]0;x\x07"), line("", secret=True))
    new = str(past.policies("new.yaml", policy(**WEB, commands="[{name: r, deny: {program: rm}}]")))
    result = past.replay("--against", new)
    assert result.exit_code == 1
    (only,) = result.stdout.splitlines()
    assert only.split("\t")[4:10] == ["line", "allow", "deny", "r", "new.yaml:8", "rm \\x1b]0;x\\x07"]
    assert result.stderr.splitlines() == [
        "1 of 1 lines, 0 of 0 commands and 0 of 1 sessions would be answered differently",
        "not asked about: 1 lines typed without echo, which are not kept",
    ]
    assert past.replay("--against", str(past.folder / "policies")).exit_code == 0


def test_a_replay_is_noted_and_bad_policies_are_refused(past: Past) -> None:
    past.recorded()
    past.replay("--against", str(past.folder / "policies"))
    (event,) = past.store.events()
    assert (event.code, event.detail["sessions"]) == ("policy.replayed", 1)
    (past.folder / "bad.yaml").write_text("version: 1\n")
    refused = past.replay("--against", str(past.folder / "bad.yaml")).exception
    assert isinstance(refused, InvalidConfig)
    assert "bad.yaml:1: policies: this key is required" in refused.message
