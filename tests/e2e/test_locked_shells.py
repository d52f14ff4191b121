"""Strict line mode with real shells: what one does at a prompt, and what only looks like a way around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.lockedshell import NONCE, LockedShell
from tests.world.homes import furnish

SHELLS = {"bash": ["bash", "-i"], "zsh": ["zsh", "-i"]}
Enter = Callable[..., LockedShell]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = furnish(tmp_path / "home")
    (home / ".zshenv").write_text("skip_global_compinit=1\n")
    return home


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def enter(home: Path, shell: str) -> Iterator[Enter]:
    """A session at its first prompt."""
    opened: list[LockedShell] = []

    def open_shell(name: str = shell, **how: object) -> LockedShell:
        opened.append(LockedShell(SHELLS[name], home, **how))  # type: ignore[arg-type]
        return opened[-1].prompt()

    yield open_shell
    for one in opened:
        one.close()


def frames_only(talk: LockedShell) -> bool:
    """True if nothing but frames was sent since the shell was taken over."""
    after = bytes(talk.sent).partition(b"gzip -d)")[2].partition(b"\r")[2]
    after = re.sub(rb"\A _t0\r", b"", after)
    return re.sub(rb"\x1e" + NONCE.encode() + rb";[^\x1e]*\x1e", b"", after) == b""


def test_lines_run_and_their_status_and_folder_are_known(enter: Enter) -> None:
    talk = enter()
    assert talk.run("echo 'hel''lo'; (exit 3)").endswith("hello\ntarget$")
    talk.run("cd /usr")
    done = [fact.fields for fact in talk.facts if fact.kind == "line-done"]
    assert done[0]["status"] == 3
    assert done[1] == {"status": 0, "folder": "/usr"}
    assert frames_only(talk)


def test_nothing_of_the_hook_shows(enter: Enter) -> None:
    talk = enter()
    talk.run("true")
    assert talk.text == "target$ true\ntarget$"
    assert NONCE.encode() not in talk.shown


def test_a_refused_line_stays_and_is_edited(enter: Enter) -> None:
    talk = enter()
    talk.type("echo forbidden").type("\x1b[D\x1b[D").type("\r")
    text = talk.see("BLOCKED")
    assert text.split("\n") == [
        "target$ echo forbidden",
        "■ BLOCKED  forbidden never runs (rule no-forbidden). Nothing sent.",
        "  Edit the line, type another, or Ctrl-C to clear it.",
        "target$ echo forbidden",
    ]
    assert talk.screen.cursor.x == len("target$ echo forbidden") - 2
    talk.type("\x01\x1bf\x0b").type(" fine\r")
    talk.see("^ fine$|^fine$")
    assert frames_only(talk)


def test_after_a_refusal_another_line_can_be_typed_at_once(enter: Enter) -> None:
    talk = enter()
    talk.type("echo forbidden\r")
    talk.see("BLOCKED")
    talk.type("echo other\r")
    talk.see("^other$")
    talk.prompt().type("\x10\x10")
    assert talk.row == "target$ echo forbidden"


def test_editing_keys(enter: Enter) -> None:
    talk = enter()
    talk.type("xcho one two").type("\x01\x04e").type("\x05\x17").type("tow\x14")
    assert talk.row == "target$ echo one two"
    talk.type("\x15\x19\x1bb\x1bu\r")
    talk.see("^one TWO$")


def test_a_line_over_several_rows_at_the_bottom_and_narrower(enter: Enter) -> None:
    talk = enter(cols=30, rows=8)
    talk.run("seq 20")
    talk.type("echo " + "0123456789" * 4)
    assert "target$ echo 01234567890123456\n78901234567890123456789" in talk.text
    talk.type("\x1b[D" * 30).type("日本")
    talk.resize(20, 8)
    talk.type("x")
    assert "日本x" in talk.text.replace("\n", "")
    talk.type("\r")
    talk.see("日")
    talk.prompt()
    assert talk.judged[-1][0] == "echo 0123456789日本x012345678901234567890123456789"


def test_here_documents_functions_and_quotes_over_rows(enter: Enter) -> None:
    talk = enter()
    talk.type("cat <<END\r").type("a  b\r").type("END\r")
    talk.see("^a  b$")
    talk.prompt().type("f() {\r").type("echo in f: $1\r").type("}\r")
    assert talk.run("f x").endswith("in f: x\ntarget$")
    assert frames_only(talk)


def test_a_quote_over_rows_is_one_line(enter: Enter) -> None:
    talk = enter()
    talk.type("echo 'a\r").type("b'\r")
    talk.see("^a\nb$")
    talk.prompt()
    assert talk.judged[-1][0] == "echo 'a\nb'"


def test_ctrl_c_clears_and_sends_nothing(enter: Enter) -> None:
    talk = enter()
    before = bytes(talk.sent)
    talk.type("echo never\x03")
    assert talk.text == "target$ echo never^C\ntarget$"
    assert bytes(talk.sent) == before
    assert talk.run("echo next").endswith("next\ntarget$")


def test_job_control(enter: Enter) -> None:
    talk = enter()
    talk.type("sleep 300\r")
    talk.until(lambda: talk.gate.state == "running", "the job")
    talk.pass_on(0.5)
    talk.type("\x1a")
    talk.see("(?i)stopped|suspended")
    assert re.search("(?i)sleep 300", talk.run("jobs"))
    talk.run("bg")
    talk.prompt().type("fg\r")
    talk.until(lambda: talk.gate.state == "running", "the job")
    talk.pass_on(0.5)
    talk.type("\x03")
    talk.prompt()
    assert [fact.fields["status"] for fact in talk.facts if fact.kind == "line-done"][-1] == 130


def test_reading_programs_get_their_keys(enter: Enter) -> None:
    talk = enter()
    talk.type("read x; echo got $x\r")
    talk.until(lambda: talk.gate.state == "running", "the reader")
    talk.pass_on(0.3)
    talk.type("some words\r")
    talk.see("^got some words$")
    talk.prompt()


def test_the_shells_own_editor_works_inside_a_command(enter: Enter, shell: str) -> None:
    talk = enter()
    talk.type("read -e x; echo got $x\r" if shell == "bash" else "vared -c x; echo got $x\r")
    talk.until(lambda: b"\x1b[?2004h" in talk.shown[-30:] or talk.gate.state == "prompt", "the editor")
    talk.type("ords").type("\x01").type("w").type("\r")
    talk.see("^got words$")
    assert talk.run("echo locked again").endswith("locked again\ntarget$")


def test_full_screen_programs(enter: Enter, home: Path) -> None:
    talk = enter(readers=["vim"])
    talk.type("vim -u NONE made.txt\r")
    talk.until(lambda: talk.screen.alternate, "vim")
    talk.pass_on(0.5)
    talk.type("ia text\x1b")
    talk.see("^a text$")
    talk.type(":wq").type("\r")
    talk.prompt()
    assert (home / "made.txt").read_text() == "a text\n"
    talk.type("seq 500 | less\r")
    talk.see("^20$")
    talk.type("G")
    talk.see("^500$")
    talk.type("q")
    talk.prompt()


def test_programs_that_read_lines_only_where_listed(enter: Enter) -> None:
    talk = enter()
    talk.type("python3 -q\r")
    assert "python3 reads lines of its own" in talk.see("BLOCKED")
    listed = enter(readers=["python3"])
    listed.type("python3 -q\r")
    listed.see("^>>>")
    listed.type("print(6 *").type(" 7)\r")
    listed.see("^42$")
    listed.type("import os; os.system('echo forbidden')\r")
    listed.see("BLOCKED")
    listed.type("\x15exit()\r")
    listed.prompt()
    assert "\nforbidden\n" not in listed.text


@pytest.mark.parametrize(
    "line", ["sh", "dash", "vim x", "ssh h", "sudo -i", "su -", "tmux new", "python3", "psql", "crontab -e"]
)
def test_what_opens_another_reader_is_refused(line: str, home: Path) -> None:
    with LockedShell(SHELLS["bash"], home) as talk:
        talk.prompt().type(line + "\r")
        talk.see("BLOCKED")
        assert frames_only(talk)


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
@pytest.mark.parametrize("line", ["bash --norc", "exec bash --norc", "zsh", "bash --rcfile /dev/null -i"])
def test_a_shell_inside_the_shell_is_held_too(enter: Enter, line: str) -> None:
    talk = enter(readers=["bash"] if "rcfile" in line else [])
    talk.type(line + "\r")
    talk.until(lambda: talk.kinds().count("gate-hooked") == 2, "the inner shell")
    talk.prompt().type("echo forbidden\r")
    talk.see("BLOCKED")
    talk.type("echo inner\r")
    talk.see("^inner$")
    if "exec" not in line:
        talk.prompt().run("exit")
        talk.run("echo outer")
        assert talk.text.endswith("outer\ntarget$")


def test_type_ahead_waits_for_the_editor(enter: Enter) -> None:
    talk = enter()
    talk.type("sleep 1\r")
    talk.until(lambda: talk.gate.state == "running", "the job")
    talk.type("echo forbidden\r").type("echo half")
    talk.see("BLOCKED")
    assert "forbidden" in [str(text).split()[-1] for text, verdict in talk.judged if verdict == "deny"]
    talk.type("\x15echo other\r")
    talk.see("^other$")


def test_type_ahead_runs_in_its_order(enter: Enter) -> None:
    talk = enter()
    talk.type("sleep 1\r")
    talk.until(lambda: talk.gate.state == "running", "the job")
    for key in "echo one\recho two\recho thr":
        talk.type(key)
    talk.see("^two$")
    talk.prompt().type("ee\r")
    talk.see("^three$")
    edited = [fact.fields["text"] for fact in talk.facts if fact.fields.get("source") == "editor"]
    assert edited == ["sleep 1", "echo one", "echo two", "echo three"]


def test_a_burst_of_lines_stops_at_the_refused_one(enter: Enter) -> None:
    talk = enter()
    talk.type("echo one\recho forbidden\recho three\r")
    talk.see("BLOCKED")
    assert talk.run("echo four").count("three") == 0


def test_a_paste_of_lines_is_one_line_to_edit(enter: Enter) -> None:
    talk = enter()
    talk.type("\x1b[200~echo one\recho \x1b[31mtwo\r\x1b[201~")
    assert talk.text == "target$ echo one\n> echo [31mtwo"
    talk.type("\r")
    talk.see("^one$")
    talk.prompt()
    assert talk.judged[-1][0] == "echo one\necho [31mtwo"


def test_history_is_that_of_the_shell_and_searched(home: Path, shell: str) -> None:
    entries = "echo from-history 1\nls -l\n"
    (home / ".bash_history").write_text(entries)
    (home / ".zsh_history").write_text(entries)
    with (home / ".zshrc").open("a") as rc:
        rc.write("HISTFILE=~/.zsh_history\nSAVEHIST=100\n")
    with LockedShell(SHELLS[shell], home) as talk:
        talk.prompt().type("\x1b[A")
        assert talk.row == "target$ ls -l"
        talk.type("\x03\x12from")
        assert talk.row == "(reverse-i-search)`from': echo from-history 1"
        talk.type("\r")
        talk.see("^from-history 1$")
        talk.prompt().type("!!; echo !ec:1\r")
        talk.see("^target. echo from-history 1; echo from-history$")
        talk.prompt()
        assert talk.judged[-1][0] == "echo from-history 1; echo from-history"
        talk.type("echo !nothing\r")
        talk.see("NOT SENT")


def test_history_references_are_numbered_as_in_the_shell(home: Path) -> None:
    (home / ".bash_history").write_text("echo alpha\necho beta\necho gamma\n")
    with LockedShell(SHELLS["bash"], home) as talk:
        listed = re.findall(r"^ *(\d+)  echo beta$", talk.prompt().run("history"), re.MULTILINE)
        talk.run(f"!{listed[0]}")
        assert talk.judged[-1][0] == "echo beta"
        talk.run("^beta^delta")
        assert talk.judged[-1][0] == "echo delta"


def test_completion_asks_the_shell(enter: Enter, home: Path) -> None:
    for name in ("first file", "first-other", "\x1b[2Jevil"):
        (home / "files").mkdir(exist_ok=True)
        (home / "files" / name).write_text("content\n")
    talk = enter()
    talk.type("cat fil\t")
    talk.see("^target. cat files/$")
    talk.type("fi\t")
    talk.see("^target. cat files/first$")
    talk.type("\t")
    text = talk.see("^first file +first-other\ntarget. cat files/first$")
    assert "\x1b[2J" not in text
    talk.type("\\ \t")
    talk.see(r"^target. cat files/first\\ file$")
    talk.type("\r")
    talk.see("^content$")
    talk.prompt().type("echo $HOM\t")
    talk.see(r"^target. echo \$HOME$")
    talk.type("\x15basena\t")
    talk.see("^target. basename$")
    assert frames_only(talk)


def test_bash_completions_of_programs(home: Path) -> None:
    with (home / ".bashrc").open("a") as rc:
        rc.write("_mine() { COMPREPLY=($(compgen -W 'start stop' -- \"$2\")); }\ncomplete -F _mine service\n")
    with LockedShell(SHELLS["bash"], home) as talk:
        talk.prompt().type("service st\t\t")
        talk.see("^start +stop$")
        talk.type("o\t")
        talk.see("^target. service stop$")


def test_background_output_goes_above_the_line(enter: Enter) -> None:
    talk = enter()
    talk.run("(sleep 0.5; echo from behind) &")
    talk.type("echo half")
    talk.see("^from behind$")
    talk.see("^target. echo half$")
    talk.type(" done\r")
    talk.see("^half done$")


def test_the_prompt_is_the_shells(enter: Enter, shell: str) -> None:
    talk = enter()
    talk.run(
        r"PS1='\[\e[31m\]two\[\e[0m\]\nrows \w> '"
        if shell == "bash"
        else "PROMPT=$'%F{red}two%f\\nrows %~> '"
    )
    assert talk.text.endswith("two\nrows ~>")
    talk.type("echo x")
    assert talk.row == "rows ~> echo x"
    talk.type("\x0c")
    assert talk.text == "two\nrows ~> echo x"
    talk.type("\r")
    talk.see("^x$")


def test_the_end_of_input_leaves(enter: Enter) -> None:
    talk = enter()
    talk.type("\x04")
    talk.until(lambda: talk.ended, "the end of the shell")


@pytest.mark.parametrize("shell", ["bash"], indirect=True)
@pytest.mark.parametrize(
    "script",
    [
        "PROMPT_COMMAND=",
        "trap - DEBUG",
        "PROMPT_COMMAND=; trap - DEBUG",
        "PROMPT_COMMAND='PS1=mine'",
        "unset PROMPT_COMMAND; PS0=",
        "trap 'true' DEBUG",
        "exec 2>/dev/null",
        "trap - DEBUG; PROMPT_COMMAND=; PS1='all of it$ '",
        "trap - DEBUG; PROMPT_COMMAND=; PS0=; PS1='all of it$ '",
    ],
)
def test_a_sourced_file_that_unhooks_the_shell_ends_the_session(
    enter: Enter, home: Path, script: str
) -> None:
    (home / "unhook").write_text(script + "\n")
    talk = enter()
    talk.type(". ./unhook\r")
    talk.until(lambda: talk.closed is not None, "the end", timeout=40)
    assert talk.closed is not None
    assert talk.closed.reason == "gate-lost"
    assert "In strict line mode a session ends when its shell cannot be held" in " ".join(talk.text.split())


@pytest.mark.parametrize("shell", ["zsh"], indirect=True)
@pytest.mark.parametrize("script", ["precmd_functions=()", "precmd_functions=(); preexec_functions=()"])
def test_a_sourced_file_that_unhooks_zsh_ends_the_session(enter: Enter, home: Path, script: str) -> None:
    (home / "unhook").write_text(script + "\n")
    talk = enter()
    talk.type(". ./unhook\r")
    talk.until(lambda: talk.closed is not None, "the end")


@pytest.mark.parametrize("line", ["PROMPT_COMMAND=x", "trap - DEBUG", "unset PROMPT_COMMAND", "set +T"])
def test_a_line_that_unhooks_the_shell_is_refused(line: str, home: Path) -> None:
    with LockedShell(SHELLS["bash"], home) as talk:
        talk.prompt().type(line + "\r")
        assert "out of bartizan's hand" in " ".join(talk.see("BLOCKED").split())


def test_key_bindings_of_the_user_change_nothing(enter: Enter, home: Path, shell: str) -> None:
    talk = enter()
    bind = 'bind -x \'"a": touch bound\'; bind \'"b": "touch bound\\n"\''
    talk.run(bind if shell == "bash" else "bindkey -s b 'touch bound\\n'; bindkey -e; bindkey -v")
    assert talk.run("echo ab").endswith("ab\ntarget$")
    talk.run("stty intr ^A; stty -a > /dev/null")
    talk.run("echo c\x01\x1bfb")
    assert talk.judged[-1][0] == "echob c"
    assert not (home / "bound").exists()


@pytest.mark.parametrize("name", ["fish", "dash"])
def test_other_shells_give_way_to_bash(name: str, home: Path) -> None:
    with LockedShell([name, "-i"], home) as talk:
        talk.prompt()
        assert "gate-shell-replaced" in talk.kinds()
        talk.type("echo forbidden\r")
        talk.see("BLOCKED")
        talk.type("echo $BASH_VERSION\r")
        talk.see(r"^5\.")


def test_a_program_that_is_no_shell_ends_the_session(home: Path) -> None:
    with LockedShell(["cat"], home) as talk:
        talk.until(lambda: talk.closed is not None, "the end")
        assert "the shell did not answer" in talk.text


def test_a_syntax_error_is_told_by_the_shell(enter: Enter) -> None:
    talk = enter()
    talk.type("echo a )\r")
    text = talk.see("(?i)syntax error|parse error")
    talk.prompt()
    assert text.count("target$") == 1
    assert talk.run("echo fine").endswith("fine\ntarget$")
