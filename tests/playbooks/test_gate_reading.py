"""Lines in a session that goes from a shell into other programs and back, judged by rules of a policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.gate.reading import readers_of
from broker.gate.rules import judge_line
from broker.model.command import CommandLine, Judgement
from broker.model.target import Dialect
from broker.policy.loader import load_policies
from broker.session.lines import strictest
from tests.playbooks.gated import NONCE, Conversation, Cooked

PROMPT = "\x1b[?2004huser$ "
POLICY = """\
version: 1
policies:
  - name: shop
    who: {everyone: true}
    targets: {names: "*"}
    accounts: "*"
    channels: [shell, exec]
    commands:
      - deny: {program: touch}
      - deny: {sql: [ddl]}
"""


def talk(
    folder: Path, *, hook: bool = False, dialect: Dialect = Dialect.SHELL, running: str = ""
) -> Conversation:
    (folder / "shop.yaml").write_text(POLICY)
    rules = load_policies(folder / "shop.yaml").policies[0].commands
    assert rules is not None

    def judge(line: bytes | CommandLine) -> Judgement:
        return judge_line(rules, line)

    readers = readers_of(running.encode() or None, dialect)
    return Conversation(hook=hook, judge=strictest(judge, readers), accepted=readers.take, running=running)


class HookedShell:
    """A bash that reports its lines, and the programs that it starts."""

    def __init__(self, folder: Path) -> None:
        self.talk = talk(folder, hook=True)
        self.serial = 0
        self.talk.hear(f"Welcome\r\n{PROMPT}").wait(200)
        self.talk.mark("V", payload="5.2.15(1)-release,,").wait(10)
        self.talk.hear("x\r\n").mark("R", payload="bash").hear(PROMPT).mark("P", 0).wait(30)
        self.talk.taken()

    def enter(self, line: str) -> bool:
        """Type a line at the shell's prompt; True if it runs."""
        self.serial += 1
        quoted = line.replace("\\", "\\\\").replace(" ", "\\ ").replace("'", "\\'").replace(";", "\\;")
        self.talk.say(f"{line}\r").taken()
        self.talk.mark("L", self.serial, quoted)
        answers = re.findall(rf"\x1e{NONCE};1;\d+;(\w)\x1e".encode(), self.talk.taken())
        self.talk.mark("B", self.serial)
        if answers == [b"y"]:
            self.talk.mark("X").wait(80)
        return answers == [b"y"]

    def prompt(self) -> None:
        """What ran has ended."""
        self.talk.hear(PROMPT).mark("P", self.serial).wait(80)
        self.talk.taken()


def test_sql_in_a_client_that_a_hooked_shell_started(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    assert shell.enter("psql shop")
    psql = Cooked(shell.talk, "shop=# ")
    for line in (
        "SELECT count(*) FROM orders;",
        "SELECT 1",
        "  FROM orders WHERE name = 'DROP TABLE x;'",
        ";",
        "\\d orders",
    ):
        assert psql.type(f"{line}\r").ran[-1] == line
    for line in (
        "DROP TABLE orders;",
        "\\! touch x",
        "SELECT 1 \\g |touch x",
        "\\i file.sql",
        "\\copy t from program 'touch x'",
        "DO $$ BEGIN EXECUTE 'DROP'; END $$;",
        "touch x",
    ):
        ran = list(psql.ran)
        assert psql.type(f"{line}\r").ran == ran, line
    assert psql.type("\\! ls\r").ran[-1] == "\\! ls"


def test_a_statement_over_several_lines_is_judged_where_it_ends(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    shell.enter("psql shop")
    psql = Cooked(shell.talk, "shop=# ")
    psql.type("DROP\r")
    psql.type("TABLE orders\r")
    assert psql.ran == ["DROP", "TABLE orders"]
    assert psql.type(";\r").ran == ["DROP", "TABLE orders"]
    assert shell.talk.last_line["verdict"] == "deny"


def test_an_interrupted_statement_hides_nothing(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    shell.enter("psql shop")
    psql = Cooked(shell.talk, "shop=# ")
    psql.type("SELECT '\r").type("\x03")
    assert psql.type("DROP TABLE orders;\r").ran == ["SELECT '"]


def test_behind_the_client_the_shell_reads_again(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    shell.enter("psql shop")
    assert Cooked(shell.talk, "shop=# ").type("\\q\r").ran == ["\\q"]
    shell.prompt()
    assert shell.enter("drop x")
    shell.prompt()
    assert not shell.enter("touch x")
    shell.prompt()
    assert shell.enter("./unknown-program")
    program = Cooked(shell.talk, "? ")
    assert program.type("SELECT 1;\r").ran == ["SELECT 1;"]
    assert program.type("DROP TABLE x;\r").ran == ["SELECT 1;"]
    assert program.type("touch x\r").ran == ["SELECT 1;"]


def test_aliases_and_functions_of_the_session_count_later(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    for line in ("alias t=touch", "f() { $1 y; }", "x=touch"):
        assert shell.enter(line)
        shell.prompt()
    for line in ("t z", "f touch", "$x y"):
        assert not shell.enter(line), line
        shell.prompt()
    assert shell.enter("f ls")


def test_a_refused_line_changes_nothing(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    assert not shell.enter("alias ls=touch; touch x")
    shell.prompt()
    assert shell.enter("ls x")


def test_a_loop_over_several_lines(tmp_path: Path) -> None:
    """bash asks for the rest at a prompt of its own (mark C)."""
    shell = HookedShell(tmp_path)
    for line, runs in (("for i in a b", True), ("do echo $i", True), ("done", True)):
        assert shell.enter(line) is runs
        shell.talk.hear("> ").mark("C", shell.serial).wait(80).taken()
    shell.prompt()
    for line, runs in (("for i in a b", True), ("do touch $i", True), ("done", False)):
        assert shell.enter(line) is runs
        shell.talk.hear("> ").mark("C", shell.serial).wait(80).taken()


def test_a_here_document_for_a_shell_is_judged_before_it_ends(tmp_path: Path) -> None:
    """Ctrl-D ends it too."""
    shell = HookedShell(tmp_path)
    assert shell.enter("sh <<E")
    shell.talk.hear("> ").mark("C", shell.serial).wait(80).taken()
    assert not shell.enter("touch x")


def test_python_that_a_hooked_shell_started(tmp_path: Path) -> None:
    shell = HookedShell(tmp_path)
    assert shell.enter("python3")
    python = Cooked(shell.talk, ">>> ")
    for line in (
        "import os, json",
        "print(json.dumps([1]))",
        "os.system('ls')",
        "for i in range(3):",
        "    print(i)",
    ):
        assert python.type(f"{line}\r").ran[-1] == line
    python.type("\r")
    for line in (
        "os.system('touch x')",
        "import subprocess; subprocess.run(['touch', 'x'])",
        "exec(input())",
        "getattr(os, 'sys' + 'tem')('touch x')",
        "f = os.system",
        "touch x",
    ):
        ran = list(python.ran)
        assert python.type(f"{line}\r").ran == ran, line


def test_without_a_hook_a_shell_and_the_client_could_both_read(tmp_path: Path) -> None:
    conversation = talk(tmp_path)
    shell = Cooked(conversation).type("psql shop\r")
    shell.prompt = "shop=# "
    conversation.hear("\r\nshop=# ")
    assert shell.type("SELECT 1;\r").ran[-1] == "SELECT 1;"
    assert shell.type("DROP TABLE x;\r").ran[-1] == "SELECT 1;"
    shell.prompt = "$ "
    assert shell.type("\\q\r").ran[-1] == "\\q"
    assert shell.type("touch x\r").ran[-1] == "\\q"
    assert shell.type("DROP TABLE x;\r").ran[-1] == "\\q"
    assert shell.type("ls\r").ran[-1] == "ls"


@pytest.mark.parametrize(
    ("dialect", "running"),
    [(Dialect.POSTGRES, "psql -U app shop"), (Dialect.SHELL, "psql -U app shop"), (Dialect.POSTGRES, "")],
)
def test_a_target_that_is_a_client(tmp_path: Path, dialect: Dialect, running: str) -> None:
    conversation = talk(tmp_path, dialect=dialect, running=running)
    psql = Cooked(conversation, "shop=# ")
    assert psql.type("SELECT count(*) FROM orders;\r").ran == ["SELECT count(*) FROM orders;"]
    assert psql.type("DROP TABLE orders;\r").ran == ["SELECT count(*) FROM orders;"]
    assert psql.type("\\! touch x\r").ran == ["SELECT count(*) FROM orders;"]
    assert psql.type("\\!\r").ran[-1] == "\\!"
    psql.prompt = "$ "
    assert psql.type("touch x\r").ran[-1] == "\\!"
    assert psql.type("ls\r").ran[-1] != "touch x"
