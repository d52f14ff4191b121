"""Evidence, as an operator checks it: whatever is changed is found and named, with exit status 2."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bastion import Bastion, wait_until
from tests.e2e.conftest import running
from tests.world.broker import BARTIZAN, write_yaml
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair
from tests.world.process import clean_env
from tests.world.sshd import Sshd

MakeBastion = Callable[..., Bastion]


class Scene:
    """The data of a bastion that has stopped, in a folder of its own, to be tampered with."""

    def __init__(self, place: Path, original: Path) -> None:
        self.place = place
        shutil.copytree(original, place, ignore=shutil.ignore_patterns("*.sock"))
        self.anchors = place / "anchors"
        self.data = place / "data"
        self.config = place / "bartizan.yaml"
        write_yaml(
            self.config,
            {"data": str(self.data), "control": {"socket": str(place / "control.sock")}},
        )

    def cli(self, *words: str, config: bool = True) -> subprocess.CompletedProcess[str]:
        chosen = ["--config", str(self.config)] if config else []
        env = clean_env(self.place)
        return subprocess.run(
            [BARTIZAN, *chosen, *words], capture_output=True, text=True, env=env, cwd=self.place, check=False
        )

    def file(self, name: str) -> Path:
        [found] = self.data.rglob(name)
        return found

    def sql(self, *statements: str) -> None:
        with sqlite3.connect(self.data / "bartizan.db") as db:
            triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for (name,) in triggers:
                db.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                db.execute(statement)


@pytest.fixture(scope="module")
def history(
    world: Path, sshd: Sshd, user_key: KeyPair, target_key: KeyPair
) -> Iterator[tuple[Path, list[str]]]:
    """A bastion that has seen three commands and a shell, and has stopped; the ids of the sessions."""
    place = world / "evidence"
    anchors = place / "anchors"
    config: dict[str, Any] = {"anchors": {"every": "1s", "to": [{"file": str(anchors)}]}}
    with running(place, sshd, user_key, target_key, config) as bastion:
        for word in ("first", "second", "third"):
            assert bastion.ssh("web").run(f"echo {word}; seq 200").returncode == 0
        with bastion.ssh("web").pty() as shell:
            shell.expect(PROMPT)
            shell.send(b"echo in-a-shell\rexit\r")
            shell.wait()
        bastion.last()
        wait_until(lambda: anchors.exists() and anchors.read_bytes().count(b"\n") >= 2, "two anchors")
        assert bastion.ssh("web").run("echo last").returncode == 0
        bastion.last()
        assert bastion.broker.stop() == 0
    yield place, [f"S-{number}" for number in range(1, 6)]
    shutil.rmtree(place)


@pytest.fixture
def scene(history: tuple[Path, list[str]], tmp_path: Path) -> Scene:
    """The seals name the file of anchors by its path: it stays that of the original."""
    return Scene(tmp_path / "s", history[0])


def found(scene: Scene, *words: str) -> dict[str, Any]:
    """The JSON answer of a check that must have found something."""
    done = scene.cli(*words, "--json")
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return next(line for line in lines if not line["ok"])


# ---------------------------------------------------------------- the clean one


def test_what_nobody_touched_holds(scene: Scene) -> None:
    done = scene.cli("recordings", "verify", "--all", "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["recording"] for row in rows] == ["S-1", "S-2", "S-3", "S-4", "S-5"]
    assert {row["state"] for row in rows} == {"complete"}
    whole = scene.cli("audit", "verify", "--json")
    assert whole.returncode == 0, (whole.stdout, whole.stderr)
    answer = json.loads(whole.stdout)
    assert (answer["ok"], answer["unsealed"], answer["recordings"]) == (True, 0, {"checked": 5, "bad": []})
    assert answer["events"] > 20
    assert next(iter(answer["anchors"]["newest"])).startswith("file:")
    for words in (("audit", "verify"), ("recordings", "verify", "S-4"), ("audit", "health")):
        done = scene.cli(*words)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert "BAD" not in done.stdout
    assert scene.cli("audit", "verify", "--from", "1h").returncode == 0
    assert scene.cli("recordings", "verify", "--since", "1h").stdout.count("OK") == 5


def test_one_id_across_audit_and_recording(scene: Scene) -> None:
    done = scene.cli("audit", "ls", "S-1", "--json")
    codes = [json.loads(line)["code"] for line in done.stdout.splitlines()]
    assert codes == ["session.opened", "recording.sealed", "session.ended"]
    first = json.loads(done.stdout.splitlines()[0])
    start = json.loads(scene.file("S-1.events").read_text().splitlines()[0])
    assert start["event"] == first["id"]


# ---------------------------------------------------------------- recordings


def test_a_flipped_byte(scene: Scene) -> None:
    path = scene.file("S-2.cast")
    content = path.read_bytes()
    at = content.rindex(b"second")
    path.write_bytes(content[:at] + b"S" + content[at + 1 :])
    bad = found(scene, "recordings", "verify", "S-2")
    assert (bad["state"], bad["file"]) == ("altered", "S-2.cast")
    assert bad["byte"] == content.rfind(b"\n", 0, at) + 1
    assert bad["line"] == content[:at].count(b"\n") + 1
    assert bad["good"]["links"] >= 1
    whole = scene.cli("audit", "verify")
    assert whole.returncode == 2
    assert "BAD\tS-2\taltered" in whole.stdout
    assert "4 of 5 hold" in whole.stdout
    assert "OK\taudit" in whole.stdout, "what still holds is told too"


@pytest.mark.parametrize("part", ["cast", "events", "chain"])
def test_a_deleted_file(scene: Scene, part: str) -> None:
    scene.file(f"S-2.{part}").unlink()
    bad = found(scene, "recordings", "verify", "--all")
    assert (bad["recording"], bad["file"]) == ("S-2", f"S-2.{part}")


def test_a_deleted_recording(scene: Scene) -> None:
    for part in ("cast", "events", "chain"):
        scene.file(f"S-2.{part}").unlink()
    bad = found(scene, "recordings", "verify", "--all")
    assert (bad["recording"], bad["state"]) == ("S-2", "missing")


def test_two_recordings_swapped(scene: Scene) -> None:
    for part in ("cast", "events", "chain"):
        one, two = scene.file(f"S-1.{part}"), scene.file(f"S-3.{part}")
        one.rename(one.with_suffix(".x"))
        two.rename(one)
        one.with_suffix(".x").rename(two)
    done = scene.cli("recordings", "verify", "--all")
    assert done.returncode == 2
    for id, other in (("S-1", "S-3"), ("S-3", "S-1")):
        assert f"the chain is that of the recording '{other}'" in next(
            line for line in done.stdout.splitlines() if line.startswith(f"BAD\t{id}\t")
        )


@pytest.mark.parametrize("part", ["cast", "events", "chain"])
def test_a_truncated_file(scene: Scene, part: str) -> None:
    path = scene.file(f"S-4.{part}")
    os.truncate(path, path.stat().st_size - 40)
    bad = found(scene, "recordings", "verify", "S-4")
    assert bad["state"] in ("truncated", "altered")
    assert bad["file"] == f"S-4.{part}"


def test_all_files_truncated_to_the_same_link(scene: Scene) -> None:
    """Cut off consistently: what is left is well signed, and the audit knows of more."""
    chain = scene.file("S-4.chain")
    first = chain.read_bytes().splitlines(keepends=True)[0]
    chain.write_bytes(first)
    link = json.loads(first)
    for part in ("cast", "events"):
        os.truncate(scene.file(f"S-4.{part}"), link[part]["to"])
    bad = found(scene, "recordings", "verify", "S-4")
    assert bad["state"] == "truncated"
    assert "it was cut off: link" in bad["problem"]


def test_a_recording_replaced_by_one_that_somebody_else_signed(scene: Scene) -> None:
    folder = scene.file("S-3.cast").parent
    for part in ("cast", "events", "chain"):
        scene.file(f"S-3.{part}").unlink()
    code = (
        "import sys; from pathlib import Path; from recorder.cast import Header\n"
        "from recorder.signing import SigningKey; from recorder.writer import open_recording\n"
        "live = open_recording(Path(sys.argv[1]), 'S-3', Header(width=80, height=24), {},"
        " signer=SigningKey.generate())\n"
        "live.output(1, b'nothing happened'); live.close(2, 'exit')\n"
    )
    subprocess.run([sys.executable, "-c", code, folder], check=True)
    bad = found(scene, "recordings", "verify", "S-3")
    assert bad["state"] == "altered"
    assert "signed by a key that is not known here" in bad["problem"]


# ---------------------------------------------------------------- the database


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE sessions SET user = 'bob' WHERE number = 2", "the store's row says user 'bob'"),
        ("UPDATE sessions SET started_at = started_at - 86400000000 WHERE number = 2", "says started_at"),
        ("UPDATE sessions SET size = size + 1 WHERE number = 2", "bytes, the cast has"),
        ("DELETE FROM sessions WHERE number = 2", "the store has no row of it"),
        (
            "INSERT INTO sessions SELECT 77, user, target, account, channel, command, source, reason,"
            " started_at, ended_at, state, exit_status, end_reason, recording, size FROM sessions"
            " WHERE number = 2",
            "the audit knows no such session",
        ),
    ],
)
def test_an_edited_row_of_a_session(scene: Scene, statement: str, says: str) -> None:
    scene.sql(statement)
    assert says in found(scene, "recordings", "verify", "--all")["problem"]


@pytest.mark.parametrize(
    ("statement", "where", "says"),
    [
        ("UPDATE audit SET actor = 'bob' WHERE seq = 5", "E-5", "event E-5 is not what was written"),
        ("DELETE FROM audit WHERE seq = 7", "E-7", "event E-7 is missing"),
        ("DELETE FROM audit_seals WHERE n = 1", "seal 1", "seal 1 is missing"),
    ],
)
def test_an_edited_row_of_the_audit(scene: Scene, statement: str, where: str, says: str) -> None:
    scene.sql(statement)
    bad = found(scene, "audit", "verify")
    assert (bad["where"], says in bad["problem"]) == (where, True)
    text = scene.cli("audit", "verify")
    assert text.returncode == 2
    assert f"BAD\taudit\t{says}" in text.stdout


def test_the_newest_events_and_seals_cut_off_are_missed_by_the_anchors(
    history: tuple[Path, list[str]], scene: Scene
) -> None:
    seals = [json.loads(line) for line in (history[0] / "anchors").read_text().splitlines()]
    before = seals[-1]["n"] - 1
    scene.sql(
        f"DELETE FROM audit_seals WHERE n > {before}",
        "DELETE FROM audit WHERE seq > (SELECT json_extract(CAST(line AS TEXT), '$.seq')"
        " FROM audit_seals ORDER BY n DESC LIMIT 1)",
    )
    bad = found(scene, "audit", "verify")
    assert bad["problem"] == "", "the ledger alone cannot know"
    assert "the audit was cut" in bad["anchors"]["problems"][0]


def test_a_removed_anchor(history: tuple[Path, list[str]], scene: Scene) -> None:
    path = history[0] / "anchors"
    lines = path.read_bytes().splitlines(keepends=True)
    try:
        path.write_bytes(b"".join(lines[1:]))
        bad = found(scene, "audit", "verify")
        number = json.loads(lines[0])["n"]
        assert bad["anchors"]["problems"] == [f"the anchor of seal {number} is missing from {path}"]
        text = scene.cli("audit", "verify")
        assert f"BAD\tanchors\tthe anchor of seal {number} is missing" in text.stdout
        path.unlink()
        assert "cannot be read" in found(scene, "audit", "verify")["anchors"]["problems"][0]
    finally:
        path.write_bytes(b"".join(lines))


# ---------------------------------------------------------------- bundles


@pytest.fixture
def bundled(scene: Scene) -> Scene:
    """With `b.tar` (recordings S-2 and S-4), `a.tar` (the audit) and the published keys in `keys`."""
    assert scene.cli("recordings", "bundle", "S-2", "S-4", "-o", "b.tar").returncode == 0
    assert scene.cli("audit", "export", "-o", "a.tar").returncode == 0
    (scene.place / "keys").write_text(scene.cli("audit", "key").stdout)
    return scene


def test_bundles_verify_without_broker_and_configuration(bundled: Scene) -> None:
    done = bundled.cli("recordings", "verify", "b.tar", "--keys", "keys", "--json", config=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert [row["recording"] for row in answer["recordings"]] == ["S-2", "S-4"]
    assert bundled.cli("audit", "verify", "a.tar", "--keys", "keys", config=False).returncode == 0
    listed = subprocess.run(
        ["tar", "-tf", bundled.place / "b.tar"], capture_output=True, text=True, check=True
    )
    assert "recordings/S-2.cast" in listed.stdout.splitlines()
    content = (bundled.place / "b.tar").read_bytes()
    assert b"first" not in content, "nothing of the other sessions is in it"
    assert b"second" in content


def test_a_bundle_needs_the_published_keys(bundled: Scene, tmp_path: Path) -> None:
    done = bundled.cli("recordings", "verify", "b.tar", config=False)
    assert done.returncode == 64
    assert "proves nothing without the published keys" in done.stderr
    other = tmp_path / "other.pub"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    done = bundled.cli("recordings", "verify", "b.tar", "--keys", str(other), config=False)
    assert done.returncode == 2
    assert "signed by a key that is not known here" in done.stdout


@pytest.mark.parametrize("needle", [b"second", b'"code":"recording.sealed"', b'"leaf":"', b'\\"seq\\":'])
def test_a_changed_bundle(bundled: Scene, needle: bytes) -> None:
    path = bundled.place / "b.tar"
    content = path.read_bytes()
    at = content.index(needle) + len(needle)
    byte = b"a" if content[at : at + 1] != b"a" else b"b"
    path.write_bytes(content[:at] + byte + content[at + 1 :])
    done = bundled.cli("recordings", "verify", "b.tar", "--keys", "keys", config=False)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "BAD" in done.stdout


def test_an_export_is_in_the_audit(bundled: Scene) -> None:
    done = bundled.cli("audit", "ls", "--json")
    codes = [json.loads(line)["code"] for line in done.stdout.splitlines()]
    assert codes[-2:] == ["recording.exported", "audit.exported"]
    assert bundled.cli("audit", "verify").returncode == 0


# ---------------------------------------------------------------- keys


def test_the_key_is_rotated_and_everything_still_verifies(make_bastion: MakeBastion) -> None:
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    made.start()
    assert made.ssh("web").run("echo before").returncode == 0
    published = made.broker.cli("audit", "key").stdout
    second = made.broker.place / "second.key"
    made.broker.cli("audit", "key", "rotate", str(second))
    text = made.broker.config_file.read_text()
    made.broker.config_file.write_text(text + f"signing: {{key: {{file: {second}}}}}\n")
    made.broker.restart()
    assert made.ssh("web").run("echo after").returncode == 0
    made.last()
    old, new = made.broker.place / "old.pub", made.broker.place / "new.pub"
    old.write_text(published)
    new.write_text(made.broker.cli("audit", "key").stdout.splitlines()[0])
    assert made.broker.cli("audit", "key").stdout.count("ssh-ed25519") == 2
    for keys in ([], ["--keys", str(old)], ["--keys", str(new)]):
        made.broker.cli("audit", "verify", *keys)
        made.broker.cli("recordings", "verify", "--all", *keys)
    made.broker.cli("recordings", "bundle", "S-1", "S-2", "-o", "b.tar")
    made.broker.cli("recordings", "verify", "b.tar", "--keys", str(new))


def test_without_its_key_the_broker_does_not_start(make_bastion: MakeBastion) -> None:
    made = make_bastion().start()
    made.broker.stop()
    key = made.broker.place / "signing.key"
    key.unlink()
    child = made.broker.launch()
    assert child.process.wait(60) == 69
    assert "[E-UNAVAILABLE] the signing key" in child.output
    assert "nothing can be recorded" in child.output
    assert not key.exists()


def test_a_user_verifies_his_own_recordings_over_ssh_and_no_others(make_bastion: MakeBastion) -> None:
    """lesson 15: what somebody else has recorded does not exist."""
    made = make_bastion()
    made.target("web")
    made.allow("all", targets=["*"], channels=["shell", "exec"])
    made.start()
    assert made.ssh("web").run("echo mine").returncode == 0
    made.last()
    done = made.ssh().run("recordings verify S-1")
    assert (done.returncode, done.stdout.split(b"\t")[:3]) == (0, [b"OK", b"S-1", b"complete"])
    made.query("SELECT 1")
    with sqlite3.connect(made.broker.data / "bartizan.db") as db:
        db.execute("UPDATE sessions SET user = 'bob'")
    done = made.ssh().run("recordings verify S-1")
    assert done.returncode == 1
    assert b"no session 'S-1' here for you" in done.stderr
