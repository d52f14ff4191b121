"""The plain numbered menu: lines in, lines out. For terminals without a cursor, screen readers and pipes.

No line is longer than 80 characters, nothing is drawn, nothing is ever rewritten. Without Textual.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from broker.wire.approvals import (
    ListRequests,
    OpenRequest,
    RequestDetail,
    RequestList,
    RequestView,
    WaitRequest,
)
from broker.wire.client import AskFailed, Disconnected, WireClient
from broker.wire.messages import (
    AccountView,
    Ask,
    Body,
    Failure,
    ListRecordings,
    ListTargets,
    Opening,
    OpenTarget,
    Sessions,
    SessionView,
    Targets,
    Welcome,
)
from tui import states
from tui.screens import matching
from tui.screens.matching import Row

WIDTH = 78
"""Of a window of 80, as the prompt may stand before a line where the input is not echoed."""
LONGEST = 2_000
"""Characters of one line of input."""
PAGE = 40
"""Rows listed at once; the filter finds the others."""

HELP = (
    "Type a number to open that target.",
    "Type a number and an account to open it as another account: 3 root",
    "Type words to filter the list: db prod, env:prod, acct:root. Empty line: all.",
    "r  list recordings    w  your own requests    a  requests to decide",
    "l  list targets again    ?  this help    q  log out",
)


class LineSource(Protocol):
    """Where lines come from: a text stream, or `_Unbuffered`."""

    def readline(self, limit: int, /) -> str: ...


class _Unbuffered:
    """Standard input, never read beyond a line: what follows belongs to the session that is opened."""

    def readline(self, limit: int, /) -> str:
        line = bytearray()
        while len(line) < limit and not line.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                break
            line += byte
        return line.decode("utf-8", "replace")


class PlainMenu:
    """One conversation over a text stream. `serve` returns the exit status."""

    def __init__(
        self,
        welcome: Welcome,
        ask: Callable[[Ask], Body],
        source: LineSource,
        out: TextIO,
        last: states.LastSession,
    ) -> None:
        self._welcome = welcome
        self._ask = ask
        self._source = source
        self._out = out
        self._last = last
        self._ascii = states.wants_ascii(os.environ)
        self._rows: list[Row] = []
        self._shown: list[Row] = []

    def serve(self) -> int:
        """List, then read lines until a target is opened, `q`, or the end of the input."""
        who = self._welcome
        groups = f" ({', '.join(who.groups)})" if who.groups else ""
        self._say(f"bartizan: {who.user}{groups}")
        self._say_last()
        self._load()
        self._list("")
        while (line := self._read()) is not None:
            word = line.strip()
            if word in ("q", "quit", "exit"):
                break
            if self._obey(word):
                break
        return 0

    def _obey(self, word: str) -> bool:
        """Do what one line says; True if a target is being opened."""
        if word == "?":
            self._say(*HELP)
        elif word == "r":
            self._recordings()
        elif word == "w":
            self._requests("mine", "You have not asked for anything.", "requests show ID")
        elif word == "a":
            self._requests("inbox", "Nothing waits for your decision.", 'approve ID -m "why"')
        elif word == "l":
            self._load()
            self._list("")
        elif word.split(" ")[0].isdecimal():
            return self._choose(word)
        else:
            self._list(word)
        return False

    # ------------------------------------------------------------ lists

    def _load(self) -> None:
        body = self._ask(ListTargets())
        self._rows = [matching.row(target) for target in body.items] if isinstance(body, Targets) else []

    def _list(self, query: str) -> None:
        self._shown = matching.search(self._rows, query)
        if not self._rows:
            self._say("No target is granted to you. Ask an administrator of this bastion.")
        elif not self._shown:
            self._say(f"No target matches {query}. An empty line lists all.")
        for number, row in enumerate(self._shown[:PAGE], start=1):
            self._say(_entry(number, row))
        if len(self._shown) > PAGE:
            self._say(f"{len(self._shown) - PAGE} more. Type words to filter.")

    def _recordings(self) -> None:
        body = self._ask(ListRecordings(limit=PAGE))
        items = body.items if isinstance(body, Sessions) else []
        now = int(time.time() * states.SECOND)
        for view in items:
            self._say(_recording(view, now))
        self._say("Play one with: ssh -t bastion recordings play ID" if items else "No recording yet.")

    def _requests(self, which: str, none: str, verb: str) -> None:
        body = self._ask(ListRequests(which, limit=PAGE))
        items = body.items if isinstance(body, RequestList) else []
        now = int(time.time() * states.SECOND)
        for view in items:
            self._say(_request(view, now))
        self._say(f"Go on with: ssh bastion {verb}" if items else none)

    def _say_last(self) -> None:
        last = self._last
        if last.error:
            self._say(f"{last.target} was not opened. {last.error}")
        elif last.session:
            status = "" if last.status is None else f", exit {last.status}"
            self._say(f"Last session: {last.target} ended{status}, {last.session}")

    # ------------------------------------------------------------ opening

    def _choose(self, line: str) -> bool:
        number, _, name = line.partition(" ")
        if not 1 <= int(number) <= len(self._shown[:PAGE]):
            self._say(f"There is no number {number}. Type l to list the targets.")
            return False
        row = self._shown[int(number) - 1]
        account = _account(row, name.strip())
        if account is None:
            names = ", ".join(a.name for a in row.target.accounts)
            self._say(f"{row.target.name} has no account {name.strip()}. It has: {names}")
            return False
        if account.state == "DENY":
            why = f"DENY {account.why}, {_rule(account)}"
            self._say(f"Not opened. {row.target.name} as {account.name}: {why}")
            return False
        return self._open(row, account)

    def _open(self, row: Row, account: AccountView) -> bool:
        needed, reason = account.state in ("REASON", "WAIT"), ""
        while True:
            if needed:
                self._say(f"Reason ({account.why})? An empty line gives up." if account.why else "Reason?")
                reason = (self._read() or "").strip()
                if not reason:
                    self._say("Not opened.")
                    return False
            try:
                body = self._ask(OpenTarget(row.target.name, account.name, reason))
            except AskFailed as exc:
                self._say_failure(exc.failure)
                needed = exc.failure.code == "E-REASON"
                if needed:
                    continue
                return False
            if isinstance(body, RequestDetail):
                return self._wait(body)
            return isinstance(body, Opening)

    def _wait(self, detail: RequestDetail) -> bool:
        """Until somebody has decided; True if the session is being opened. Leaving does not cancel."""
        id = detail.request.id
        self._say(
            f"{id} waits for {detail.needs}. Ctrl-C leaves it waiting: ssh -t bastion requests wait {id}"
        )
        while detail.request.state == "pending":
            body = self._ask(WaitRequest(id))
            if not isinstance(body, RequestDetail):
                return False
            detail = body
        view = detail.request
        said = f': "{view.comment}"' if view.comment else ""
        self._say(f"{id} is {view.state} by {view.settled_by or 'bartizan'}{said}")
        if view.state != "approved":
            return False
        try:
            return isinstance(self._ask(OpenRequest(id)), Opening)
        except AskFailed as exc:
            self._say_failure(exc.failure)
            return False

    # ------------------------------------------------------------ lines

    def _say_failure(self, failure: Failure) -> None:
        self._say(f"{failure.code}: {failure.message} {failure.hint}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            text = states.inert(line)
            text = states.to_ascii(text) if self._ascii else text
            for part in textwrap.wrap(text, WIDTH, subsequent_indent="    "):
                print(part, file=self._out)

    def _read(self) -> str | None:
        """One line; None at the end of the input."""
        self._out.write("> ")
        self._out.flush()
        try:
            line = self._source.readline(LONGEST)
        except (OSError, ValueError):
            return None
        if not line:
            print(file=self._out)
        return line or None


def _entry(number: int, row: Row) -> str:
    account = row.account
    env = row.target.tags.get("env", "")
    others = len(row.target.accounts) - 1
    name = account.name + (f" and {others} more" if others > 0 else "")
    access = f"{account.state} {account.why}".strip()
    parts = [f"{number}. {row.target.name} as {name}", env, access, row.target.note]
    return ", ".join(part for part in parts if part)


def _recording(s: SessionView, now: int) -> str:
    status = "" if s.exit_status is None else f", exit {s.exit_status}"
    size = states.length((s.ended_at or now) - s.started_at)
    what = f": {s.command}" if s.command else ""
    who = f"{s.user} on {s.account}@{s.target}"
    return f"{s.id} {states.when(s.started_at, now)}, {size}, {who}, {s.state}{status}{what}"


def _request(r: RequestView, now: int) -> str:
    left = f", {states.length(r.expires_at - now)} left" if r.state == "pending" and r.expires_at else ""
    who = f"{r.user} on {r.account}@{r.target}"
    return f"{r.id} {r.state}{left}, risk {r.risk}, {who}, {r.kind}: {r.what}"


def _account(row: Row, name: str) -> AccountView | None:
    return next((a for a in row.target.accounts if a.name == name), None) if name else row.account


def _rule(account: AccountView) -> str:
    return f"rule {account.rule} ({account.origin})" if account.origin else f"rule {account.rule}"


def serve(where: str | socket.socket, source: LineSource, out: TextIO, last: states.LastSession) -> int:
    """Connect, converse, and say why if the broker does not want to; the exit status.

    Lines are read while the event loop stands still: so Ctrl-C and a hang-up end the wait at once.
    """
    with asyncio.Runner() as runner:
        try:
            client = runner.run(WireClient.connect(where, "tui"))
            menu = PlainMenu(client.welcome, lambda ask: runner.run(client.ask(ask)), source, out, last)
            status = menu.serve()
            runner.run(client.close())
            return status
        except AskFailed as exc:
            print(f"bartizan: [{exc.failure.code}] {states.inert(exc.failure.message)}", file=out)
            return exc.failure.exit_status
        except Disconnected as exc:
            print(f"bartizan: the menu has ended, {exc}. Log in again.", file=out)
            return 69


def run(where: str | socket.socket, last: states.LastSession) -> int:
    """The menu on this process's standard input and output."""
    try:
        return serve(where, _Unbuffered(), sys.stdout, last)
    except KeyboardInterrupt:
        print()
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
