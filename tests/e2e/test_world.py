"""The world itself works: without this, a failing e2e test says nothing about the broker."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.world.accounts import Accounts
from tests.world.broker import Broker
from tests.world.homes import PROMPT
from tests.world.keys import KeyPair, certify, make_key
from tests.world.process import Child, clean_env
from tests.world.sshd import Sshd
from tests.world.terminal import Pty
from tests.world.tmux import Tmux

MakeSshd = Callable[..., Sshd]
MakeTmux = Callable[..., Tmux]


def test_exec_keeps_streams_and_status_apart(sshd: Sshd, user_key: KeyPair) -> None:
    done = sshd.client(user_key).run("cat; echo problem >&2; exit 3", input=b"\x00\xff in")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"\x00\xff in", b"problem\n")


def test_bulk_arrives_whole(sshd: Sshd, user_key: KeyPair) -> None:
    data = os.urandom(4 << 20)
    done = sshd.client(user_key).run("sha256sum", input=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_home_is_the_worlds(sshd: Sshd, user_key: KeyPair) -> None:
    assert sshd.client(user_key).run("echo $HOME; pwd").stdout.decode().split() == [str(sshd.home)] * 2


def test_stranger_is_refused(sshd: Sshd, place: Path) -> None:
    done = sshd.client(make_key(place), home=place).run("true")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr
    assert sshd.client(None, home=place).run("true").returncode == 255


def test_changed_host_key_is_refused(make_sshd: MakeSshd, target_key: KeyPair) -> None:
    server = make_sshd()
    client = server.client(target_key)
    assert client.run("true").returncode == 0
    server.stop()
    server.replace_host_keys()
    server.start()
    assert client.run("true").returncode == 255
    assert server.client(target_key).run("true").returncode == 0


def test_user_certificate_of_a_trusted_ca_logs_in(make_sshd: MakeSshd, place: Path) -> None:
    ca, key = make_key(place, "ca"), make_key(place, "holder")
    server = make_sshd(authorized=())
    certify(ca, key, identity="one-connection", principals=(server.user,))
    assert server.client(key).run("true").returncode == 255
    server.trust_ca(ca.public)
    assert server.client(key).run("true").returncode == 0
    server.child.wait_for("Accepted publickey .*ED25519-CERT .* ID one-connection")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash"])
def test_chosen_shell_prompts_on_a_terminal(make_sshd: MakeSshd, target_key: KeyPair, shell: str) -> None:
    server = make_sshd(shell=f"/bin/{shell}")
    with server.client(target_key).pty(size=(30, 100)) as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"stty size\r")
        terminal.expect(r"[\r\n]30 100\r\n")
        terminal.expect(PROMPT)
        terminal.resize(11, 44)
        terminal.send(b"ps -p %s -o comm=; stty size\r" % (b"$fish_pid" if shell == "fish" else b"$$"))
        terminal.expect(rf"[\r\n]{shell}\r\n11 44\r\n")
        terminal.send(b"exit 5\r")
        assert terminal.wait() == 5


def test_forced_command_of_a_match_block_wins(make_sshd: MakeSshd, target_key: KeyPair) -> None:
    server = make_sshd(
        shell="/bin/dash", matches="Match User *\nForceCommand echo forced $SSH_ORIGINAL_COMMAND"
    )
    assert server.client(target_key).run("ls").stdout == b"forced ls\n"


@pytest.mark.root
def test_account_has_its_own_shell_and_home(
    make_sshd: MakeSshd, accounts: Accounts, target_key: KeyPair
) -> None:
    account = accounts.add("zed", shell="/bin/zsh")
    client = make_sshd().client(target_key, login=account.name)
    done = client.run("echo $ZSH_NAME $HOME $UID")
    assert done.stdout.decode().split() == ["zsh", str(account.home), str(account.uid)]
    with client.pty() as terminal:
        terminal.expect(PROMPT)
        terminal.send(b"exit\r")
        assert terminal.wait() == 0


def test_ctrl_c_on_the_terminal_is_a_signal(sshd: Sshd, user_key: KeyPair) -> None:
    with sshd.client(user_key).pty("trap 'echo caught; exit 9' INT; echo armed; cat") as terminal:
        terminal.expect("armed")
        terminal.send(b"\x03")
        terminal.expect("caught")
        assert terminal.wait() == 9


def test_long_paste_does_not_deadlock(place: Path) -> None:
    """With echo on, every byte typed comes back; neither side may fill up."""
    lines = b"".join(b"%05d\n" % number for number in range(20_000))
    with Pty(["sh", "-c", "stty -echo; echo ready; cat"], env=clean_env(place)) as terminal:
        terminal.expect("ready")
        terminal.send(lines + b"\x04")
        assert terminal.read_all() == b"\r\n" + lines.replace(b"\n", b"\r\n")


def test_pty_tells_what_it_saw_when_it_ends(place: Path) -> None:
    with Pty(["echo", "only this"], env=clean_env(place)) as terminal:
        with pytest.raises(AssertionError, match=r"it ended without b'never'.*only this"):
            terminal.expect("never")
        assert terminal.wait() == 0


def test_tmux_shows_the_screen_of_a_full_screen_program(
    make_tmux: MakeTmux, sshd: Sshd, user_key: KeyPair
) -> None:
    tmux = make_tmux(size=(20, 70))
    tmux.run(sshd.client(user_key).argv(options=("-tt",)))
    tmux.wait_for(PROMPT)
    tmux.type("vim -u NONE note")
    tmux.keys("Enter")
    tmux.wait_for(r'"note" \[New')
    assert tmux.in_alternate_screen()
    tmux.keys("i")
    tmux.type("héllo ─")
    tmux.keys("Escape")
    tmux.wait_for(r"\Ahéllo ─\n(~ *\n){18}[^~]")
    tmux.resize(10, 40)
    tmux.wait_for(r"\A.*\n(~ *\n){8}[^~]")
    tmux.keys(*":q!", "Enter")
    tmux.wait_for(r"vim -u NONE note\n" + PROMPT)
    assert not tmux.in_alternate_screen()
    tmux.type("exit 4")
    tmux.keys("Enter")
    assert tmux.wait_exit() == 4


def test_ctrl_c_in_tmux_reaches_the_program_and_its_status_comes_back(make_tmux: MakeTmux) -> None:
    tmux = make_tmux()
    tmux.run(["sh", "-c", "trap 'echo caught; exit 6' INT; echo armed $WORD; read line"], env={"WORD": "a b"})
    tmux.wait_for("armed a b")
    tmux.keys("C-c")
    tmux.wait_for("caught")
    assert tmux.wait_exit() == 6


def test_child_reports_why_it_waited_in_vain(place: Path) -> None:
    child = Child(["sh", "-c", "echo first; exit 2"], env=clean_env(place))
    child.wait_for("^first$")
    with pytest.raises(AssertionError, match="ended without 'second'"):
        child.wait_for("second")
    assert child.wait() == 2


def test_child_that_ignores_sigterm_is_a_failure(place: Path) -> None:
    child = Child(["sh", "-c", "trap '' TERM; echo ready; while :; do read x; done"], env=clean_env(place))
    child.wait_for("ready")
    with pytest.raises(AssertionError, match="ignored SIGTERM"):
        child.stop(timeout=0.2)
    assert child.wait() == -signal.SIGKILL


def test_broker_that_cannot_start_is_reported_with_its_words(place: Path) -> None:
    broker = Broker(place / "b", config={"no_such_key": True})
    with pytest.raises(AssertionError, match=r"(?s)the broker ended with status [1-9].*\w"):
        broker.start()
