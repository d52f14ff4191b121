"""A command line against rules: the strictest answer holds, allow is narrow and deny is broad."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gate.rules import judge, judge_line, occurs
from broker.gate.shell import parse
from broker.gate.text import Match, matches
from broker.model.access import Rule
from broker.model.command import Answer, CommandRule, CommandRules

ALLOW, DENY = Answer.ALLOW, Answer.DENY
POLICY = Rule("ops", "p.yaml:3")


def rule(
    effect: Answer,
    *programs: str,
    args: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    reason: str = "",
) -> CommandRule:
    return CommandRule(
        effect, Rule(f"{effect}-{programs[0]}", "p.yaml:9"), programs, args, only, reason=reason
    )


def rules(*given_: CommandRule, default: Answer | None = None, opaque: Answer = DENY) -> CommandRules:
    fallback = DENY if any(one.effect is ALLOW for one in given_) else ALLOW
    return CommandRules(POLICY, given_, default or fallback, opaque)


def verdict(table: CommandRules, line: str) -> Answer:
    return judge_line(table, line.encode()).verdict


NO_RM_RF = rules(rule(DENY, "rm", args=("-rf",), reason="One by one."))


@pytest.mark.parametrize(
    "line",
    ["rm -rf x", "rm -fr x", "rm -r -f x", "rm -f x -r", "rm -vrfi x", "/bin/rm -rf x", "./rm -rf x",
     "r'm' -r\"f\" x", "ls; rm -rf x", "ls | rm -rf x", "sudo rm -rf x", "sh -c 'rm -rf x'", "rm x -rf",
     "eval rm -rf x", "timeout 5 nice rm -r -f x", "rm -rf $X", "nohup rm -rf x &"],
)  # fmt: skip
def test_a_deny_rule_finds_every_spelling(line: str) -> None:
    judgement = judge_line(NO_RM_RF, line.encode())
    assert judgement.verdict is DENY
    if "$" not in line:
        assert (judgement.rule.name, judgement.reason) == ("deny-rm", "One by one.")


@pytest.mark.parametrize(
    "line", ["rm x", "rm -r x", "rm -f x", "echo rm -rf x", "ls -rf", "rmdir -rf", "rm rf"]
)
def test_a_deny_rule_lets_the_rest_through(line: str) -> None:
    judgement = judge_line(NO_RM_RF, line.encode())
    assert (judgement.verdict, judgement.rule) == (ALLOW, POLICY)


LISTED = rules(
    rule(ALLOW, "uptime", "df"), rule(ALLOW, "systemctl", args=("status",), only=("status", "-*", "app-*"))
)


@pytest.mark.parametrize(
    "line",
    ["uptime", "df -h | uptime", "/usr/bin/uptime", "df 2>&1 >/dev/null", "systemctl status app-1",
     "systemctl --no-pager status app-1; df"],
)  # fmt: skip
def test_an_allow_list_lets_its_own_through(line: str) -> None:
    assert verdict(LISTED, line) is ALLOW


@pytest.mark.parametrize(
    "line",
    ["id", "uptime; id", "uptime & id", "./uptime", "/tmp/uptime", "/usr/bin/../../tmp/uptime",
     "/usr/local/bin/df", "uptime > f", "> f", "uptime; > f", "df > $X", "sudo df", "sh -c df",
     "systemctl stop app-1", "systemctl stop status", "systemctl status nginx",
     "systemctl stop app-1 status", "systemctl -- status x/y", "Uptime", "up\u200btime", "PATH=/tmp df",
     "uptime\nid", "env df"],
)  # fmt: skip
def test_an_allow_list_stops_everything_else(line: str) -> None:
    assert verdict(LISTED, line) is DENY


def test_a_wrapper_needs_to_be_allowed_as_well_as_what_it_runs() -> None:
    table = rules(rule(ALLOW, "sudo"), rule(ALLOW, "df"))
    assert verdict(table, "sudo df") is ALLOW
    assert verdict(table, "sudo id") is DENY


def test_a_rule_that_denies_wins_whatever_the_order() -> None:
    pair = [rule(ALLOW, "rm"), rule(DENY, "rm", args=("-r",))]
    for order in itertools.permutations(pair):
        assert verdict(rules(*order), "rm x") is ALLOW
        assert verdict(rules(*order), "rm -r x") is DENY


def test_opaque_lines_are_denied_unless_the_policy_says_otherwise() -> None:
    judgement = judge_line(NO_RM_RF, b"sh script.sh")
    assert (judgement.verdict, judgement.rule, judgement.doubt) == (DENY, POLICY, True)
    assert judgement.reason == "the command cannot be checked: sh runs a script whose text is not on the line"
    lenient = rules(rule(DENY, "rm"), opaque=ALLOW)
    assert verdict(lenient, "sh script.sh") is ALLOW
    assert verdict(lenient, "rm $HOME") is DENY
    assert verdict(lenient, "rm x; sh script.sh") is DENY


def test_a_rule_that_perhaps_fits_denies_as_a_doubt() -> None:
    judgement = judge_line(NO_RM_RF, b"rm $FLAGS x")
    assert (judgement.verdict, judgement.doubt, judgement.rule.name) == (DENY, True, "deny-rm")
    assert verdict(rules(rule(DENY, "rm", args=("-rf",)), opaque=ALLOW), "rm $FLAGS x") is ALLOW
    assert verdict(NO_RM_RF, "ls $FLAGS x") is ALLOW


def test_paths_and_patterns_of_programs() -> None:
    assert verdict(rules(rule(DENY, "/opt/*")), "/opt//./tool x") is DENY
    assert verdict(rules(rule(DENY, "/opt/*")), "tool") is ALLOW
    assert verdict(rules(rule(DENY, "mkfs*")), "mkfs.ext4 x") is DENY
    assert verdict(rules(rule(ALLOW, "/opt/app/*")), "/opt/app/run") is ALLOW
    assert verdict(rules(rule(ALLOW, "/opt/app/*")), "/opt/app/../evil") is DENY
    assert verdict(rules(rule(ALLOW, "/opt/app/*")), "run") is DENY


def test_only_without_patterns_means_no_arguments() -> None:
    table = rules(rule(ALLOW, "date", only=()))
    assert (verdict(table, "date"), verdict(table, "date -s x")) == (ALLOW, DENY)


def test_reasons_are_inert() -> None:
    """lesson 13: the name of a program is a client's text."""
    judgement = judge_line(LISTED, b"'\x1b]0;x\x07'")
    assert judgement.reason == "\\x1b]0;x\\x07 is not among the commands allowed here"
    assert judge_line(LISTED, b"uptime > '\x1bc'").reason == "writing to \\x1bc is not allowed here"


def test_short_options_in_any_clustering_and_the_rest_as_written() -> None:
    assert occurs("-rf", ("-v", "-xfr"))
    assert not occurs("-rf", ("--rf", "rf", "-r"))
    assert occurs("--recursive", ("--recursive",))
    assert not occurs("--recursive", ("-r",))
    assert occurs("/etc/*", ("x", "/etc/passwd"))


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [("*", "a", True), ("*", "a/b", False), ("a?", "ab", True), ("a?", "a/", False), ("/l/*", "/l/../x",
     False), ("/l/*", "/l/..", False), ("/l/../x", "/l/../x", True), ("[a]", "[a]", True), ("[a]", "a",
     False), ("*", "a\nb", True), ("a", "a\n", False), ("A", "a", False), ("*" * 200 + "b", "a" * 200,
     False)],
)  # fmt: skip
def test_patterns(glob: str, text: str, fits: bool) -> None:
    assert matches(glob, text) is (Match.YES if fits else Match.NO)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_line_with_more_in_it_is_never_allowed_more(first: bytes, second: bytes) -> None:
    for table in (NO_RM_RF, LISTED):
        joined = judge_line(table, first + b"\n" + second)
        alone = judge(table, parse(first))
        if joined.verdict is ALLOW and parse(first).commands and parse(first).opaque is None:
            assert alone.verdict is ALLOW
