"""Approvals at every door: asked, waited for, decided over ssh, used once, taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.bastion import Bastion, wait_until
from tests.world.client import SshClient
from tests.world.keys import KeyPair, make_key
from tests.world.terminal import Pty

OPEN = {"from": {"groups": ["dba"]}, "lasts": "10m"}


class Approved:
    """A bastion with `prod`, which dba has to agree to; alice and dan ask, bob and carol decide."""

    def __init__(self, bastion: Bastion, folder: Path) -> None:
        self.bastion = bastion
        self.folder = folder
        self._keys: dict[str, KeyPair] = {}
        mine = {"accounts": [bastion.sshd.user]}
        for name in ("prod", "two", "free"):
            bastion.target(name, accounts=[bastion.sshd.user], tags={"env": "lab"})
        bastion.target("high", accounts=[bastion.sshd.user], tags={"env": "prod"})
        either = ["shell", "exec"]
        bastion.allow("p-open", targets=["prod", "high"], channels=either, approval={"open": OPEN}, **mine)
        both = {"from": {"groups": ["dba"]}, "needed": 2}
        bastion.allow("p-two", targets=["two"], channels=either, approval={"open": both}, **mine)
        bastion.allow("p-free", targets=["free"], channels=either, **mine)
        self.add("bob", "--group", "dba")
        self.add("carol", "--group", "dba")
        self.add("bob-adm", "--group", "dba", "--person", "bob")
        self.add("robot", "--group", "dba", "--agent")
        self.add("dba-alice", "--group", "dba", "--group", "ops", "--person", "alice")

    def add(self, name: str, *options: str) -> None:
        key = make_key(self.folder, name)
        self._keys[name] = key
        self.bastion.broker.cli("users", "add", name, *options, "--key", f"{key.path}.pub")

    def ssh(self, name: str, *options: str) -> SshClient:
        key = self.bastion.alice if name == "alice" else self._keys[name]
        return self.bastion.broker.client(name, key, options=options)

    def run(self, name: str, *command: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        done = self.ssh(name, *options).run(*command)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def ask(self, target: str, command: str) -> str:
        """Alice's request for a command there."""
        status, out, err = self.run("alice", target, command)
        assert (status, out) == (75, ""), err
        assert len(err.strip().splitlines()) == 1
        return err.split("]")[0].split()[-1]

    def approve(self, name: str, id: str, *options: str) -> tuple[int, str, str]:
        """Approve it, with what its risk asks for: how high that is hangs on the hour of the day."""
        shown = self.run(name, "requests", "show", id, "--json")[1]
        word = json.loads(shown)["confirm"] if shown else ""
        return self.run(name, "approve", id, *(["--confirm", word] if word else []), *options)

    def digests(self, id: str) -> list[tuple[str, str]]:
        """Code and digest of each audit row about a request."""
        rows = self.bastion.query("SELECT code, detail FROM audit WHERE subject = ? ORDER BY seq", id)
        return [(row["code"], json.loads(row["detail"])["digest"]) for row in rows]


@pytest.fixture(scope="module")
def people(
    world: Path, module_bastion: Callable[[], Bastion], tmp_path_factory: pytest.TempPathFactory
) -> Approved:
    made = Approved(module_bastion(), tmp_path_factory.mktemp("k"))
    made.bastion.start()
    return made


def test_an_exec_leaves_with_75_and_its_id_and_runs_once_after_the_approval(people: Approved) -> None:
    id = people.ask("prod", "echo ran-$((6*7))")
    assert people.ask("prod", "echo ran-$((6*7))") == id, "asking again is the same request"
    status, out, err = people.run("alice", "requests", "resume", id)
    assert (status, out) == (75, "")
    assert people.approve("bob", id, "-m", "ok")[:2] == (0, f"{id} approved\n")
    assert people.run("alice", "requests", "resume", id) == (0, "ran-42\n", "")
    status, out, err = people.run("alice", "requests", "resume", id)
    assert (status, out) == (77, "")
    assert "used already" in err
    codes = people.digests(id)
    assert [code for code, _ in codes] == [
        "request.asked" if False else "request.opened", "request.seen", "request.voted", "request.approved",
        "request.used", "request.ran",
    ]  # fmt: skip
    assert len({digest for _, digest in codes}) == 1, "one digest from the request to its execution"


def test_lesson_34_an_approval_is_for_exactly_what_was_asked(people: Approved) -> None:
    """lesson 34: another command, target, account or door needs its own."""
    id = people.ask("prod", "echo one")
    people.approve("bob", id)
    assert people.ask("prod", "echo two") != id
    assert people.ask("prod", "echo one ") != id, "a byte more is something else"
    assert people.ask("two", "echo one") != id
    status, _, err = people.run("alice", "prod")
    assert (status, "E-WAITING" in err) == (75, True), "a shell is another door"
    assert people.run("alice", "prod", "echo one")[:2] == (0, "one\n"), "the same needs no resume"


def test_waiting_runs_it_and_passes_the_status_on(people: Approved) -> None:
    wait = ("-o", "SetEnv=LC_BARTIZAN_WAIT=60s")
    running = people.ssh("alice", *wait).start("prod", "echo waited; exit 7")
    [view] = wait_until(lambda: inbox(people, "bob", "echo waited"), "the request")
    assert view["may_decide"] is True
    people.approve("bob", view["id"])
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (7, b"waited\n")
    assert b"E-WAITING" in err


def inbox(people: Approved, name: str, what: str) -> list[dict[str, object]]:
    _, out, _ = people.run(name, "approvals", "ls", "--json")
    views = [json.loads(line) for line in out.splitlines()]
    return [view for view in views if what in view["what"]]


def test_a_denial_needs_a_comment_and_is_told(people: Approved) -> None:
    id = people.ask("prod", "echo denied")
    status, _, err = people.run("bob", "deny", id)
    assert status == 64, err
    assert people.run("bob", "deny", id, "-m", "'take a backup'")[0] == 0
    status, out, err = people.run("alice", "requests", "resume", id)
    assert (status, out) == (77, "")
    assert "take a backup" in err
    assert people.approve("carol", id)[0] == 77, "it is settled"


def test_lesson_17_nobody_approves_what_he_asked_for_under_any_account(people: Approved) -> None:
    """lesson 17: over ssh; agents do not count either (lesson 19)."""
    id = people.ask("prod", "echo own")
    for name, why in (("dba-alice", "your own"), ("robot", "agents do not decide")):
        status, _, err = people.run(name, "approve", id)
        assert (status, why in err) == (77, True), err
    status, _, err = people.approve("alice", id)
    assert (status, "your own" in err) == (77, True), err
    assert people.run("alice", "requests", "cancel", id)[:2] == (0, f"{id} cancelled\n")
    assert people.approve("bob", id)[0] == 77
    assert people.run("alice", "requests", "resume", id)[0] == 130


def test_two_of_two_are_two_persons(people: Approved) -> None:
    """lesson 17: 2 of 2 with one person behind two accounts is one."""
    id = people.ask("two", "echo both")
    assert "still needs" in people.approve("bob", id)[1]
    assert "still needs" in people.approve("bob-adm", id)[1]
    assert people.run("alice", "requests", "resume", id)[0] == 75
    assert people.approve("carol", id)[1] == f"{id} approved\n"
    assert people.run("alice", "requests", "resume", id)[1] == "both\n"


def test_unknown_and_invisible_requests_answer_the_same(people: Approved) -> None:
    people.add("eve")
    id = people.ask("prod", "echo secret")
    for verb in (["requests", "show"], ["approve"], ["requests", "cancel"], ["why"], ["requests", "resume"]):
        seen = people.run("eve", *verb, id)
        unseen = people.run("eve", *verb, "R-FFFF")
        assert seen[0] == unseen[0] == 1, (verb, seen)
        assert seen[2].replace(id, "R-FFFF") == unseen[2]
    assert people.run("eve", "requests", "ls", "--all", "--json") == (0, "", "")


def test_high_risk_wants_the_targets_name_and_never_asks_on_a_pipe(people: Approved) -> None:
    status, _, err = people.run("alice", "high", "'psql -c \"DELETE FROM orders\"'")
    id = err.split("]")[0].split()[-1]
    status, _, err = people.run("bob", "approve", id)
    assert (status, "--confirm high" in err) == (64, True), err
    assert people.run("bob", "approve", id, "--confirm", "prod")[0] == 64
    assert people.run("bob", "approve", id, "--confirm", "high")[1] == f"{id} approved\n"


def test_a_terminal_waits_and_drops_into_the_session_by_itself(people: Approved) -> None:
    with people.ssh("alice").pty("prod") as pty:
        id = pty.expect(r"WAIT (R-[0-9A-F]+)")[1].decode()
        people.run("bob", "requests", "show", id)
        pty.expect("opened by bob")
        people.approve("bob", id, "-m", "fine")
        pty.expect(f"APPROVED {id}")
        pty.expect("recorded S-")
        pty.send(b"echo in-$((1+1))\r")
        pty.expect("in-2")
        people.run("bob", "requests", "withdraw", id, "-m", "enough")
        pty.expect("taken back by bob")
    session = people.bastion.last()
    assert session.row["end_reason"] == "revoked"


def test_leaving_does_not_cancel_and_c_does(people: Approved) -> None:
    with people.ssh("alice").pty("two") as pty:
        pty.expect("WAIT")
        pty.send(b"q")
        pty.expect("requests resume")
    id = newest(people)
    assert "pending" in people.run("alice", "requests", "show", id)[1]
    with people.ssh("alice").pty("two") as pty:
        pty.expect(f"WAIT {id}")
        pty.send(b"c")
        pty.expect("cancelled")
    assert "cancelled" in people.run("alice", "requests", "show", id)[1].splitlines()[0]


def newest(people: Approved) -> str:
    [row] = people.bastion.query("SELECT max(number) AS number FROM requests")
    return f"R-{row['number']:X}"


def test_a_window_lets_sessions_open_while_it_lasts(people: Approved) -> None:
    status, out, _ = people.run("alice", "request", "prod", "-r", "work", "--for", "5m", "--json")
    assert status == 75
    id = json.loads(out)["id"]
    assert people.approve("carol", id, "--for", "2m")[0] == 0
    for _ in range(2):
        with people.ssh("alice").pty("prod") as pty:
            pty.expect("recorded S-")
            pty.send(b"exit\r")
    shown = json.loads(people.run("alice", "requests", "show", id, "--json")[1])
    assert shown["request"]["state"] == "approved"
    assert shown["request"]["until"] is not None
    assert people.run("alice", "requests", "cancel", id)[1] == f"{id} used\n"
    assert people.run("alice", "prod")[0] == 75
    assert people.run("alice", "free", "true")[0] == 0


def test_why_explains_a_decision(people: Approved) -> None:
    id = people.ask("prod", "echo why")
    people.run("bob", "deny", id, "-m", "no")
    status, out, _ = people.run("alice", "why", id)
    assert status == 0
    for word in ("p-open", "p-open.yaml:", "bob denied it: no", "echo why", "digest", "request.denied"):
        assert word in out
    explained = json.loads(people.run("alice", "why", id, "--json")[1])
    assert (explained["v"], explained["rule"]) == (1, "p-open")


def test_a_restart_keeps_requests_for_sessions(people: Approved) -> None:
    id = people.ask("prod", "echo later")
    people.approve("bob", id)
    pending = people.ask("prod", "echo pending")
    people.bastion.broker.kill9()
    people.bastion.broker.start()
    assert people.run("alice", "requests", "resume", id)[1] == "later\n"
    assert people.approve("bob", pending)[0] == 0
    assert people.run("alice", "prod", "echo pending")[1] == "pending\n"


# ---------------------------------------------------------------- lines held in a live shell


@pytest.fixture(scope="module")
def holding(
    world: Path, module_bastion: Callable[..., Bastion], tmp_path_factory: pytest.TempPathFactory
) -> Approved:
    """As `people`, with a shell on `shop` in which `touch` is held for dba, and bash as its shell."""
    bastion = module_bastion("h")
    made = Approved(bastion, tmp_path_factory.mktemp("h"))
    bastion.target("shop", accounts=[bastion.sshd.user], tags={"env": "lab"})
    bastion.allow(
        "p-shop",
        targets=["shop"],
        channels=["shell", "exec"],
        accounts=[bastion.sshd.user],
        approval={"lines": {"from": {"groups": ["dba"]}, "within": "30s"}},
        commands=[{"hold": {"program": "touch"}, "name": "hold-touch", "reason": "files are made"}],
    )
    bastion.start()
    return made


@pytest.fixture
def made(holding: Approved, place: Path) -> Path:
    """A file that a held line would make; it does not exist."""
    return place / "made"


def held(people: Approved, pty: Pty, line: str) -> str:
    """Type a line that is held; its request."""
    pty.send(line.encode() + b"\r")
    return pty.expect(r"HELD (R-[0-9A-F]+)")[1].decode()


def test_a_held_line_runs_once_after_the_approval(holding: Approved, made: Path) -> None:
    with holding.ssh("alice").pty("shop", size=(30, 200)) as pty:
        pty.expect("recorded S-")
        id = held(holding, pty, f"touch {made}; echo did-$((40+2))")
        [view] = inbox(holding, "bob", str(made))
        assert (view["id"], view["kind"], view["may_decide"]) == (id, "command", True)
        shown = json.loads(holding.run("bob", "requests", "show", id, "--json")[1])
        assert shown["content"]["text"] == f"touch {made}; echo did-$((40+2))"
        assert not made.exists()
        holding.approve("bob", id, "-m", "fine")
        pty.expect("APPROVED")
        pty.expect("did-42")
        wait_until(made.exists, "the file")
        pty.send(b"exit\r")
    codes = holding.digests(id)
    assert [code for code, _ in codes] == [
        "request.opened", "request.seen", "request.voted", "request.approved", "request.used",
    ]  # fmt: skip
    assert {digest for _, digest in codes} == {shown["digest"]}
    labels = [event.data for event in holding.bastion.last().events if event.code == "m"]
    assert any(label.startswith("held: touch") for label in labels)
    assert any(label.startswith("approved: touch") for label in labels)


def test_a_denied_a_cancelled_and_a_withdrawn_line_never_run(holding: Approved, made: Path) -> None:
    with holding.ssh("alice").pty("shop", size=(30, 200)) as pty:
        pty.expect("recorded S-")
        id = held(holding, pty, f"touch {made}")
        holding.run("carol", "deny", id, "-m", "not-today")
        pty.expect("not-today")
        id = held(holding, pty, f"touch {made}")
        pty.send(b"\x03")
        pty.expect("CANCELLED")
        wait_until(lambda: state(holding, id) == "cancelled", "the cancelled request")
        assert holding.approve("bob", id)[0] == 77
        id = held(holding, pty, f"touch {made}")
        pty.close()
        wait_until(lambda: state(holding, id) == "cancelled", "the request of the session that ended")
    assert not made.exists()


def state(people: Approved, id: str) -> str:
    [row] = people.bastion.query("SELECT state FROM requests WHERE number = ?", int(id[2:], 16))
    return str(row["state"])


def test_a_held_line_expires(holding: Approved, made: Path) -> None:
    with holding.ssh("alice").pty("shop", size=(30, 200)) as pty:
        pty.expect("recorded S-")
        id = held(holding, pty, f"touch {made}")
        pty.expect("EXPIRED", timeout=60)
        wait_until(lambda: state(holding, id) == "expired", "the expired request")
        assert holding.approve("bob", id)[0] == 77
    assert not made.exists()


def test_what_the_approver_sees_is_what_runs(holding: Approved, place: Path) -> None:
    """lesson 34: a line with a reversing, an invisible and thousands of characters."""
    name = "b\u202ea\u200b" + "x" * 200
    with holding.ssh("alice").pty("shop", size=(60, 200)) as pty:
        pty.expect("recorded S-")
        id = held(holding, pty, f"touch '{place}/{name}'; : {'y' * 3000}")
        shown = json.loads(holding.run("bob", "requests", "show", id, "--json")[1])
        text = shown["content"]["text"]
        assert "b⟨U+202E⟩a⟨U+200B⟩x" in text
        assert text.endswith("y" * 3000)
        assert shown["content"]["hidden"] == 2
        assert "hidden-characters" in [one["name"] for one in shown["risk"]["factors"]]
        plain = holding.ssh("bob").run("requests", "show", id).stdout.decode()
        assert "\u202e" not in plain
        assert "\x1b" not in plain
        holding.approve("bob", id)
        wait_until((place / name).exists, "exactly that file")
    event = next(fact for fact in holding.bastion.last().facts if fact.kind == "held")
    assert event.fields["sha256"] == shown["content"]["sha256"]


def test_a_window_lets_fitting_lines_through_without_a_hold(holding: Approved, place: Path) -> None:
    pattern = f"'touch {place}/w*'"
    status, out, err = holding.run("alice", "request", "shop", "-r", "INC-7", "--pattern", pattern, "--json")
    assert status == 75, err
    id = json.loads(out)["id"]
    assert holding.approve("bob", id)[0] == 0
    with holding.ssh("alice").pty("shop", size=(30, 200)) as pty:
        pty.expect("recorded S-")
        pty.send(f"touch {place}/w1\r".encode())
        wait_until((place / "w1").exists, "the first file")
        other = held(holding, pty, f"touch {place}/other")
        assert other != id
        pty.send(b"\x03")
    assert [code for code, _ in holding.digests(id)].count("request.used") == 1


def test_a_broker_that_was_killed_denies_what_it_held(holding: Approved, made: Path) -> None:
    with holding.ssh("alice").pty("shop", size=(30, 200)) as pty:
        pty.expect("recorded S-")
        id = held(holding, pty, f"touch {made}")
        holding.bastion.broker.kill9()
        pty.read_all()
    holding.bastion.broker.start()
    assert state(holding, id) == "denied"
    assert holding.approve("bob", id)[0] == 77
    assert not made.exists()
