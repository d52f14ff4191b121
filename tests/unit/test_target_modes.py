"""The modes of a target: what may be written, and which doors they close."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker.config import load_targets
from broker.model.access import Verdict
from broker.model.errors import InvalidConfig
from broker.model.target import Channel, Mode
from broker.services.sessions import Refusal, reader_refused
from tests.unit.policies import STG, ask, engine, policy

TARGET = "name: a\naddress: h\naccounts: [x]\ncredential: ca\n"
LINE = replace(STG, mode=Mode.LINE, readers=frozenset({"psql"}))
EXEC_ONLY = replace(STG, mode=Mode.EXEC_ONLY, origin="web.yaml:1")


def load(folder: Path, more: str) -> object:
    (folder / "t.yaml").write_text(TARGET + more)
    return load_targets(folder)[0]


def test_a_target_says_nothing_and_is_in_guard_mode(tmp_path: Path) -> None:
    assert load(tmp_path, "").mode is Mode.GUARD  # type: ignore[attr-defined]


def test_line_mode_lists_its_readers(tmp_path: Path) -> None:
    target = load(tmp_path, "mode: line\nreaders: [psql, python3.11]\n")
    assert (target.mode, target.readers) == (Mode.LINE, {"psql", "python3.11"})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("mode: strict\n", "t.yaml:5: mode: expected 'guard', 'line' or 'exec-only', got 'strict'"),
        ("readers: [psql]\n", "readers: only with mode: line or mode: exec-only"),
        ("mode: line\nstart: psql\n", "mode: line does not go with start: psql"),
        ("mode: line\ndialect: postgres\n", "mode: line does not go with dialect: postgres"),
        ("mode: line\ngate: off\n", "mode: line does not go with gate: off"),
        ("mode: line\non_doubt: pass\n", "mode: line does not go with on_doubt: pass"),
        ("mode: exec-only\nstart: psql\n", "mode: exec-only does not go with start: psql"),
        ("mode: line\nreaders: [/bin/sh]\n", "t.yaml:6: readers[0]: expected the name of a program"),
    ],
)
def test_a_mode_that_cannot_be_kept_is_an_error(tmp_path: Path, more: str, problem: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load(tmp_path, more)
    assert problem in str(caught.value)


def test_lesson_8_exec_only_closes_the_shell_and_no_other_door(tmp_path: Path) -> None:
    """lesson 8"""
    rules = engine(tmp_path, policy(channels="[shell, exec, sftp]"))
    shell = rules.decide(ask(target=EXEC_ONLY))
    assert shell.verdict is Verdict.DENY
    assert "gives no shell, only single commands: ssh deploy+stg-web-1@BASTION 'uptime'" in shell.reason
    assert (shell.rule.name, shell.rule.origin) == ("mode: exec-only", "web.yaml:1")
    for channel in (Channel.EXEC, Channel.SFTP):
        assert rules.decide(ask(target=EXEC_ONLY, channel=channel, command=b"uptime")).allowed


def test_exec_only_says_nothing_to_whom_no_policy_names(tmp_path: Path) -> None:
    rules = engine(tmp_path, policy(who="{users: [carol]}"))
    assert not rules.decide(ask(target=EXEC_ONLY)).visible


@pytest.mark.parametrize("target", [LINE, EXEC_ONLY])
@pytest.mark.parametrize("command", [b"bash", b"sh -i", b"python3", b"sudo -i", b"ls; zsh", b"vim x"])
def test_lesson_8_a_command_opens_no_reader_where_lines_are_edited_here(
    target: object, command: bytes
) -> None:
    """lesson 8: neither mode is left by asking for a shell as a command."""
    refused = reader_refused(ask(target=target, channel=Channel.EXEC, command=command))  # type: ignore[arg-type]
    assert isinstance(refused, Refusal)
    assert refused.exit_status == 77
    assert "would read lines that are not judged" in refused.message


@pytest.mark.parametrize(
    ("target", "command"),
    [
        (LINE, b"psql shop"), (LINE, b"sh -c 'ls'"), (EXEC_ONLY, b"uptime"), (STG, b"bash"),
        (EXEC_ONLY, b"rsync --server . /tmp"),
    ],
)  # fmt: skip
def test_other_commands_pass(target: object, command: bytes) -> None:
    assert reader_refused(ask(target=target, channel=Channel.EXEC, command=command)) is None  # type: ignore[arg-type]
