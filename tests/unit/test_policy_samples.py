"""Each file of sample_policies/ loads, explains itself, and decides as its comment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.gate.rules import judge_line
from broker.model.access import AccessRequest, Verdict
from broker.model.identity import Kind, Principal
from broker.model.target import Channel
from broker.policy.cases import run_cases
from broker.policy.engine import Engine
from broker.policy.loader import load_policies
from tests.unit.policies import ALICE, BOT, LAB, PROD, STG, ask, at

SAMPLES = Path(__file__).parents[2] / "sample_policies"
ERIN, DAN = Principal("erin"), Principal("dan", groups=frozenset({"dev"}))
ALLOW, DENY, NEED, HELD = Verdict.ALLOW, Verdict.DENY, Verdict.NEED_REASON, Verdict.NEED_APPROVAL
EXEC = Channel.EXEC


def run(
    command: str, principal: Principal = ALICE, account: str = "deploy", reason: str = "INC-1"
) -> AccessRequest:
    return ask(principal, PROD, account, EXEC, reason=reason, command=command.encode())


EXPECTED = [
    ("production-shell.yaml", ask(target=PROD), NEED),
    ("production-shell.yaml", ask(target=PROD, reason="INC-1"), ALLOW),
    ("production-shell.yaml", ask(target=PROD, reason="INC-1", moment=at("2026-11-22 10:00")), DENY),
    ("production-shell.yaml", ask(target=PROD, account="root", reason="INC-1"), DENY),
    ("production-shell.yaml", ask(target=PROD, channel=Channel.SFTP, reason="INC-1"), DENY),
    ("production-shell.yaml", ask(target=STG, reason="INC-1"), DENY),
    ("production-shell.yaml", ask(DAN, PROD, reason="INC-1"), DENY),
    ("production-shell.yaml", run("uptime"), ALLOW),
    ("production-shell.yaml", run("rm -f -r /srv"), DENY),
    ("production-shell.yaml", run("sudo /sbin/reboot"), HELD),
    ("production-shell.yaml", run("rm $FLAGS /srv"), HELD),
    ("contractor.yaml", ask(ERIN, reason="ticket 7"), ALLOW),
    ("contractor.yaml", ask(ERIN, reason="ticket 7", moment=at("2027-01-01 00:00", "Europe/Berlin")), DENY),
    ("contractor.yaml", ask(ERIN), NEED),
    ("contractor.yaml", ask(ERIN, PROD, reason="ticket 7"), DENY),
    ("contractor.yaml", ask(ERIN, channel=Channel.SCP, reason="ticket 7", command=b"scp -t x"), DENY),
    ("contractor.yaml", ask(Principal("erin", Kind.AGENT), reason="ticket 7"), DENY),
    ("read-only-bot.yaml", run("uptime", BOT, "readonly"), ALLOW),
    ("read-only-bot.yaml", run("tail -n100 /var/log/syslog | head -n5", BOT, "readonly"), ALLOW),
    ("read-only-bot.yaml", run("systemctl status --no-pager nginx.service", BOT, "readonly"), ALLOW),
    ("read-only-bot.yaml", run("systemctl restart nginx", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", run("systemctl restart status", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", run("cat /var/log/../../etc/shadow", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", run("uptime > .ssh/authorized_keys", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", run("uptime; id", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", run("./uptime", BOT, "readonly"), DENY),
    ("read-only-bot.yaml", ask(BOT, PROD, "readonly"), DENY),
    ("read-only-bot.yaml", run("uptime", Principal("ci-watch"), "readonly"), DENY),
    ("minimal.yaml", ask(DAN, LAB, "dev"), ALLOW),
    ("minimal.yaml", ask(DAN, LAB, "dev", Channel.FORWARD), DENY),
    ("minimal.yaml", ask(DAN, STG), DENY),
    ("minimal.yaml", ask(ALICE, LAB, "dev"), DENY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "asked", "verdict"), EXPECTED)
def test_the_samples_decide_as_they_say(name: str, asked: AccessRequest, verdict: Verdict) -> None:
    assert Engine(load_policies(SAMPLES / name), judge_line).decide(asked).verdict is verdict


@pytest.mark.parametrize("path", sorted((SAMPLES / "cases").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_expectations_of_the_samples_hold(path: Path) -> None:
    outcomes = run_cases(path, judge_line)
    assert outcomes
    assert [(one.asked, one.got, one.reason) for one in outcomes if not one.passed] == []


def test_every_sample_has_expectations_a_comment_and_a_row_in_the_readme() -> None:
    names = {path.name for path in SAMPLES.glob("*.yaml")}
    assert {name for name, _, _ in EXPECTED} < names
    assert names == {path.name for path in (SAMPLES / "cases").glob("*.yaml")}
    readme = (SAMPLES / "README.md").read_text()
    for name in names:
        assert (SAMPLES / name).read_text().startswith("# ")
        assert f"[{name}]({name})" in readme


def test_the_samples_load_together() -> None:
    assert len(load_policies(SAMPLES).policies) == 11
