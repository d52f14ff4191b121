"""The home screen, used as a person uses it, against a served control socket."""

from __future__ import annotations

import pytest

from broker.wire.messages import Failure, OpenTarget
from tests.tui.conftest import open_picker
from tests.tui.wire_server import WireServer, account, target
from tui.app import FaceApp, Outcome
from tui.states import LastSession

BACK = LastSession(session="S-81b", target="stg-db-1", account="postgres", status=0, end="exit")


def names(server: WireServer) -> list[str]:
    return [ask.target for ask in server.asked if isinstance(ask, OpenTarget)]


def outcome(app: FaceApp) -> Outcome:
    assert isinstance(app.return_value, Outcome)
    return app.return_value


async def test_rows_show_access_and_its_reason_recent_first(server: WireServer) -> None:
    async with open_picker(server) as picker:
        rows = picker.screen()[4:10]
        assert rows[0].startswith(" ► prod-db-1    postgres +2  prod  ○ REASON")
        assert "now ●" in rows[1]
        assert "■ DENY 22:00-06" in "\n".join(rows)
        assert picker.screen()[0].split() == ["bartizan", "alice", "(ops)", "●", "1", "live", "14:02Z"]
        assert "at least 10 characters, rule ops (prod.yaml:4)" in picker.line("news")


async def test_every_letter_filters_also_those_that_are_commands_in_the_list(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("kafka")
        assert picker.line("count") == "1 of 19 "
        assert picker.app.is_running
        assert " ► kafka-1" in picker.screen()[4]


async def test_fields_narrow_and_show_the_account_asked_for(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("env:prod acct:root")
        assert picker.line("count") == "1 of 19 "
        assert "■ DENY" in picker.screen()[4]
        assert "prod-db-1 as root: DENY, break-glass only, rule no-root (prod.yaml:12)" in picker.line("news")


async def test_escape_clears_the_filter_then_goes_to_the_list_where_vim_keys_move(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("prod")
        await picker.press("escape")
        assert picker.line("count") == "19 "
        await picker.press("escape", "j", "j")
        assert " ► stg-db-1" in picker.screen()[6]
        await picker.press("k", "G")
        assert any(line.startswith(" ► prod-web-13") for line in picker.screen())
        await picker.press("g")
        assert " ► prod-db-1" in picker.screen()[4]


async def test_enter_opens_what_is_selected_and_leaves_the_terminal(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("stg")
        await picker.press("enter")
        await picker.until(lambda: not picker.app.is_running)
    assert [a for a in server.asked if isinstance(a, OpenTarget)] == [OpenTarget("stg-db-1", "postgres", "")]
    assert outcome(picker.app) == Outcome()


async def test_a_denied_target_says_why_and_nothing_is_sent(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("prod-db-9")
        await picker.press("enter")
        assert "Not opened. prod-db-9 as postgres: DENY, 22:00-06:00 only, rule nights" in picker.line("news")
        assert names(server) == []


async def test_reason_is_asked_with_its_condition_and_the_last_one_offered(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("enter")
        await picker.until_shown("Reason (at least 10 characters)")
        await picker.until_shown("Last (↑): INC-4821 orphan rows")
        await picker.press("enter")
        assert names(server) == []
        await picker.press("up", "enter")
        await picker.until(lambda: not picker.app.is_running)
    assert server.asked[-1] == OpenTarget("prod-db-1", "postgres", "INC-4821 orphan rows")


async def test_a_reason_the_broker_refuses_can_be_mended(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: Failure(0, "E-REASON", "the reason needs at least 10 characters")
    async with open_picker(server) as picker:
        await picker.press("enter")
        await picker.until_shown("Reason (at least")
        await picker.type("short")
        await picker.press("enter")
        await picker.until_shown("the reason needs at least 10 characters")
        await picker.until_shown(" short")
        await picker.press("escape")
        assert picker.app.is_running


async def test_question_mark_is_text_in_a_reason(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("enter")
        await picker.until_shown("Reason (at least")
        await picker.press("w", "question_mark")
        await picker.until_shown("w?")


async def test_another_account_can_be_chosen_and_is_the_one_opened(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("tab", "a")
        await picker.until_shown("Account on prod-db-1")
        await picker.press("down", "enter")
        await picker.until_shown("prod-db-1 as ro: OK")
        await picker.press("enter")
        await picker.until(lambda: not picker.app.is_running)
    assert server.asked[-1] == OpenTarget("prod-db-1", "ro", "")


async def test_a_failure_shows_code_sentence_and_next_step(server: WireServer) -> None:
    server.answers[OpenTarget] = lambda ask: Failure(
        0, "E-UNREACHABLE", "stg-db-1 does not answer.", "Ask dba."
    )
    async with open_picker(server) as picker:
        await picker.type("stg")
        await picker.press("enter")
        await picker.until_shown("E-UNREACHABLE: stg-db-1 does not answer. Ask dba.")
        assert picker.app.is_running


@pytest.mark.parametrize(("targets", "typed", "words"), [
    ([], "", "No target is granted to you."),
    (None, "zzz", "No target matches the filter."),
])  # fmt: skip
async def test_nothing_granted_is_not_nothing_found(
    server: WireServer, targets: list[object] | None, typed: str, words: str
) -> None:
    if targets is not None:
        server.targets = []
    async with open_picker(server) as picker:
        await picker.type(typed)
        await picker.until_shown(words)
        await picker.press("enter")
        assert names(server) == []


async def test_coming_back_shows_how_the_session_ended_and_keeps_the_cursor(server: WireServer) -> None:
    async with open_picker(server, last=BACK) as picker:
        assert "Last session: stg-db-1 ended, exit 0, S-81b (Tab r = replay)" in picker.line("news")
        assert " ► stg-db-1" in picker.screen()[6]
        await picker.press("tab")
        assert "(r = replay)" in picker.line("news")


async def test_a_target_that_could_not_be_reached_is_told_after_coming_back(server: WireServer) -> None:
    last = LastSession(target="stg-db-1", error="E-UNREACHABLE: no answer from 10.3.0.4:22")
    async with open_picker(server, last=last) as picker:
        assert "stg-db-1: E-UNREACHABLE: no answer from 10.3.0.4:22" in picker.line("news")


async def test_copy_sends_the_command_to_the_terminal_and_prints_it(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("tab", "j", "y")
        assert picker.app.clipboard == "ssh -t bastion postgres+prod-db-2"
        assert "Copied: ssh -t bastion postgres+prod-db-2" in picker.line("news")
        await picker.press("j", "exclamation_mark")
        assert "ssh -t bastion postgres+stg-db-1" in picker.line("news")


@pytest.mark.parametrize("typed", [["ctrl+d"], ["x", "ctrl+d"], ["tab", "q"], ["ctrl+c", "ctrl+c"]])
async def test_ways_to_log_out(server: WireServer, typed: list[str]) -> None:
    async with open_picker(server) as picker:
        await picker.press(*typed)
        await picker.until(lambda: not picker.app.is_running)
    assert outcome(picker.app) == Outcome()


async def test_one_interrupt_only_warns(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.press("ctrl+c")
        assert "Ctrl-C again logs out." in picker.line("news")
        assert picker.app.is_running


async def test_a_broker_that_goes_away_ends_the_picker_with_a_word(server: WireServer) -> None:
    async with open_picker(server) as picker:
        server.drop()
        await picker.until(lambda: not picker.app.is_running)
    assert outcome(picker.app).status == 69
    assert "the broker closed the connection" in outcome(picker.app).message


async def test_without_a_broker_it_ends_with_a_word() -> None:
    outcome = await FaceApp("/nowhere/control").run_async(headless=True, size=(80, 24))
    assert outcome is not None
    assert outcome.status == 69
    assert "no broker at /nowhere/control" in outcome.message


async def test_a_user_the_broker_refuses_is_told_why(server: WireServer) -> None:
    server.welcome = Failure(0, "E-DENIED", "alice is locked", exit_status=77)
    async with open_picker(server) as picker:
        await picker.until(lambda: not picker.app.is_running)
    assert outcome(picker.app) == Outcome(77, "bartizan: [E-DENIED] alice is locked")


async def test_control_and_bidi_characters_of_others_are_inert(server: WireServer) -> None:
    """lesson 13: names, notes, tags and reasons cannot steer the terminal."""
    evil = "\x1b]52;c;ZXZpbA==\x07\u202eabc\r\n"
    server.targets = [
        target(f"t{evil}", account(f"a{evil}", "DENY", f"w{evil}", f"r{evil}", f"o{evil}"), note=evil)
    ]
    async with open_picker(server, size=(160, 24)) as picker:
        await picker.press("enter", "tab", "a")
        strips = picker.app.screen._compositor.render_strips()
        text = "".join(segment.text for strip in strips for segment in strip)
        assert "⟨U+001B⟩]52" in text
        assert not [char for char in text if ord(char) < 32 or char in "\x7f\u202e\u2066"]


async def test_the_layout_follows_the_window(server: WireServer) -> None:
    async with open_picker(server, size=(120, 40)) as picker:
        assert "│ prod-db-1" in picker.screen()[3]
        await picker.pilot.resize_terminal(40, 10)
        await picker.pilot.pause()
        screen = picker.screen()
        assert len(screen) == 10
        assert all(len(line) <= 40 for line in screen)
        assert " ► prod-db-1" in screen[3]
        assert "1 Connect" not in "\n".join(screen)
        assert screen[-1].endswith("? help")
        await picker.pilot.resize_terminal(80, 24)
        await picker.pilot.pause()
        assert "1 Connect" in picker.screen()[1]


async def test_many_targets_are_found_and_paged(server: WireServer) -> None:
    server.targets = [target(f"web-{n}", note="x") for n in range(3_000)]
    async with open_picker(server) as picker:
        assert picker.line("count") == "3000 "
        await picker.press("pagedown", "pagedown")
        assert any(line.startswith(" ► web-32") for line in picker.screen())
        await picker.type("web-2999")
        assert picker.line("count") == "1 of 3000 "


async def test_a_reload_keeps_filter_and_cursor(server: WireServer) -> None:
    async with open_picker(server) as picker:
        await picker.type("prod")
        await picker.press("down", "down")
        selected = next(line for line in picker.screen() if line.startswith(" ►"))
        server.targets = [target("prod-a-0", ago=0), *server.targets]
        await picker.press("ctrl+l")
        await picker.until(lambda: picker.line("count").endswith("of 20 "))
        assert selected in picker.screen()
