"""The keys table: no conflicts, everything in the help, nothing that is hard to type or belongs to others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tui.app
import tui.screens.accounts
import tui.screens.approvals
import tui.screens.approve
import tui.screens.connections
import tui.screens.decision
import tui.screens.help
import tui.screens.live
import tui.screens.reason
import tui.screens.recordings
import tui.screens.replay
import tui.screens.requests
import tui.screens.wait
import tui.widgets.field
from tui import keys

SCREENS = {
    "app": tui.app.FaceApp,
    "connect": tui.screens.connections.ConnectionsScreen,
    "requests": tui.screens.requests.RequestsScreen,
    "approvals": tui.screens.approvals.ApprovalsScreen,
    "decision": tui.screens.decision.DecisionScreen,
    "wait": tui.screens.wait.WaitScreen,
    "approve": tui.screens.approve.ApproveBox,
    "recordings": tui.screens.recordings.RecordingsScreen,
    "live": tui.screens.live.LiveScreen,
    "replay": tui.screens.replay.ReplayScreen,
    "accounts": tui.screens.accounts.AccountBox,
    "reason": tui.screens.reason.ReasonBox,
    "help": tui.screens.help.HelpBox,
    "field": tui.widgets.field.Field,
}
LISTS = ("connect", "requests", "approvals", "recordings", "live")
FORBIDDEN = {f"ctrl+{letter}" for letter in "basqz"} | {"ctrl+backslash"}


def all_keys(scope: str) -> list[str]:
    return [key for action in keys.SCOPES[scope] for key in action.keys.split(",")]


def test_every_scope_belongs_to_a_screen() -> None:
    assert set(SCREENS) == set(keys.SCOPES)


@pytest.mark.parametrize("scope", sorted(set(keys.SCOPES) - {"app", "field"}))
def test_no_key_means_two_things_on_one_screen(scope: str) -> None:
    used = all_keys(scope) + all_keys("app")
    assert sorted(used) == sorted(set(used))


def test_ids_are_unique_within_what_is_bound_together() -> None:
    for scope in set(keys.SCOPES) - {"app"}:
        ids = [action.id for action in (*keys.SCOPES[scope], *keys.SCOPES["app"])]
        assert len(ids) == len(set(ids))


def test_typing_in_a_list_screen_never_loses_a_letter_to_a_command() -> None:
    """What works while the filter has the focus is no printable character, but for `?`."""
    for scope in LISTS:
        for action in keys.SCOPES[scope]:
            for key in action.keys.split(","):
                if action.where != "list":
                    assert len(key) > 1, (scope, key)


def test_keys_of_others_are_left_alone() -> None:
    for scope in keys.SCOPES:
        for key in all_keys(scope):
            assert key not in FORBIDDEN
            assert not re.fullmatch(r"f\d+", key)
            assert not key.startswith("alt+")


@pytest.mark.parametrize("scope", sorted(SCREENS))
def test_bindings_are_the_table_and_nothing_else(scope: str) -> None:
    bound = SCREENS[scope]._merge_bindings().key_to_bindings
    assert set(bound) == set(all_keys(scope))


@pytest.mark.parametrize("scope", sorted(SCREENS))
def test_every_binding_has_its_action(scope: str) -> None:
    for action in keys.SCOPES[scope]:
        name = action.action.split("(")[0]
        assert hasattr(SCREENS[scope], f"action_{name}"), action.id


@pytest.mark.parametrize("scope", [*LISTS, "replay", "decision", "wait"])
def test_every_key_of_a_screen_is_in_its_help(scope: str) -> None:
    text = " ".join(row.keys for row in keys.help_rows(scope)).split()
    for key in (*all_keys(scope), *all_keys("app")):
        assert keys.shown(key) in text


@pytest.mark.parametrize("scope", [*LISTS, "replay", "decision", "wait"])
@pytest.mark.parametrize("width", [38, 78, 118])
@pytest.mark.parametrize("where", ["filter", "list"])
def test_footers_fit_and_end_with_help(scope: str, width: int, where: str) -> None:
    line = keys.footer(scope, where, width)
    assert len(line) <= width
    assert line.endswith("? help")


def test_at_80_columns_no_hint_is_dropped() -> None:
    for scope in (*LISTS, "replay"):
        for where in ("filter", "list"):
            assert keys.footer(scope, where, 78) == keys.footer(scope, where, 1000)


def test_no_key_is_bound_outside_the_table() -> None:
    folder = Path(tui.app.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name != "keys.py":
            assert "Binding(" not in path.read_text(), path
