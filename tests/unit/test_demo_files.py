"""The files of the demo are what the broker takes, and its words fit the terminal they are made for."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from broker.config import load_config, load_targets
from broker.demo import files, show
from broker.demo.world import World
from broker.gate.rules import judge_line
from broker.model.access import AccessRequest, Decision, Verdict
from broker.model.identity import Kind, Principal
from broker.model.target import Channel
from broker.policy.engine import Engine
from broker.policy.loader import load_policies

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwVqDJLxkvHmwRKrMpY8oI2r1FBkOYwrhHyB4fJqGgj"
ALICE = Principal("alice", Kind.HUMAN, frozenset({"ops"}))
BOB = Principal("bob", Kind.HUMAN, frozenset({"lab"}))


@pytest.fixture
def decide(tmp_path: Path) -> Any:
    """Ask the demo's policies about one of its targets."""
    (tmp_path / "demo.yaml").write_text(files.POLICIES)
    folder = tmp_path / "targets"
    folder.mkdir()
    for host in files.HOSTS:
        (folder / f"{host.name}.yaml").write_text(files.target_file(host, 2222, KEY))
    targets = {target.name: target for target in load_targets(folder)}
    engine = Engine(load_policies(tmp_path), judge_line)

    def ask(who: Principal, name: str, command: bytes | None = None, reason: str = "") -> Decision:
        channel = Channel.SHELL if command is None else Channel.EXEC
        target = targets[name]
        return engine.decide(
            AccessRequest(who, target, target.accounts[0], channel, 1_800_000_000_000_000, reason, command)
        )

    return ask


def test_each_target_shows_another_state_of_access(decide: Any) -> None:
    assert decide(ALICE, "shop-db").verdict is Verdict.ALLOW
    assert decide(ALICE, "shop-web").verdict is Verdict.NEED_REASON
    assert decide(ALICE, "lab-1").verdict is Verdict.DENY
    assert decide(ALICE, "lab-1").visible


def test_bob_has_the_lab_and_sees_no_shop(decide: Any) -> None:
    assert decide(BOB, "lab-1").verdict is Verdict.ALLOW
    assert not decide(BOB, "shop-db").visible


@pytest.mark.parametrize("command", [b"rm -rf srv/shop", b"cd srv && rm -r -f shop", b"env rm -fr srv/shop"])
def test_removing_the_shop_is_denied_by_its_rule(decide: Any, command: bytes) -> None:
    decision = decide(ALICE, "shop-db", command)
    assert decision.verdict is Verdict.DENY
    assert decision.rule.name == files.RULE


def test_what_the_demo_says_of_its_policy_is_so(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(files.POLICIES)
    assert len(load_policies(tmp_path).policies) == files.POLICY_COUNT


def test_the_configuration_is_valid_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "bartizan.yaml"
    path.write_text(files.broker_config(tmp_path, "plain"))
    config = load_config(path)
    assert config.listen.address == "127.0.0.1"
    assert config.control.mode == 0o600
    assert config.portal.ui == "plain"


def test_the_home_holds_a_real_database(tmp_path: Path) -> None:
    files.furnish_home(tmp_path / "home", None)
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    db = sqlite3.connect(tmp_path / "home" / "shop.db")
    assert db.execute("SELECT count(*) FROM orders WHERE status = 'x'").fetchone() == (28,)
    db.close()


@pytest.mark.parametrize("plain", [False, True])
def test_no_line_is_wider_than_a_terminal(plain: bool) -> None:
    place = Path("/tmp/bzd-12345678")
    world = cast(
        World,
        SimpleNamespace(
            place=place,
            ssh_config=place / "ssh",
            config_file=place / "broker/bartizan.yaml",
            data=place / "broker/data",
            seconds=12.3,
        ),
    )
    texts = [
        show.opening(world),
        show.things_to_try(world, plain=plain),
        show.farewell(),
        show.kept(world),
        show.still_running(world),
    ]
    assert [line for text in texts for line in text.splitlines() if len(line) > 80] == []
