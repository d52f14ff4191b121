"""Messages to people outside: what is said, signed and sent, and that nothing of it is ever lost."""

from __future__ import annotations

import asyncio
import http.server
import json
import socketserver
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.notifiers import notifier, read_secret_file
from broker.adapters.notify_http import SIGNATURE, Slack, Webhook, signature, slack_text
from broker.adapters.notify_mail import Mail, Mailbox
from broker.adapters.sqlite import SqliteStore
from broker.config.approvals import NotifierEntry
from broker.model.audit import AuditEvent
from broker.model.errors import InvalidConfig, Unavailable
from broker.model.notification import Delivery, DeliveryState, NoticeEvent
from broker.model.requests import ApprovalRequest, RequestKind
from broker.model.secret import Secret
from broker.services.notifying import Courier, Herald, Route
from tests.contract.test_requests import MATTER, REQUEST, SETTING, TERMS
from tests.unit.rows import FixedClock

SECOND = 1_000_000
KEY = b"sesame"
ASKED = replace(REQUEST, id="R-4F2", matter=replace(MATTER, expires_at=900 * SECOND))
ALL = frozenset(NoticeEvent)


def delivery(**fields: Any) -> Delivery:
    [made] = Herald([Route("hook", ALL)]).told(ASKED, "asked", "alice", "", 10)
    return replace(made, number=7, **fields)


# ---------------------------------------------------------------- what is said


def told(
    request: ApprovalRequest, what: str, *routes: Route, text: str = ""
) -> list[tuple[str, dict[str, Any]]]:
    found = Herald(routes, "ssh bz").told(request, what, "bob", text, 10)
    return [(one.notifier, json.loads(one.body)) for one in found]


def test_a_notice_says_what_is_asked_and_how_to_decide() -> None:
    [(_, notice)] = told(ASKED, "asked", Route("hook", ALL))
    assert notice["title"] == "R-4F2 HIGH: alice asks for command on postgres@prod-db-1"
    assert notice["approve"] == "ssh bz approve R-4F2 --confirm prod-db-1 -m TEXT"
    assert notice["deny"] == "ssh bz deny R-4F2 -m TEXT"
    assert notice["what"] == "DELETE ⟨0xFF⟩⟨U+0000⟩⟨U+202E⟩;"
    assert (notice["hidden_characters"], notice["risk"]["level"], notice["v"]) == (3, "HIGH", 1)
    assert notice["expires_at"] == "1970-01-01T00:15:00Z"
    assert notice["digest"] == ASKED.matter.digest


def test_a_message_goes_to_whom_the_policy_names_and_else_to_the_default() -> None:
    hook, chat, quiet = Route("hook", ALL), Route("chat", ALL, default=True), Route("quiet", frozenset())
    assert [name for name, _ in told(ASKED, "asked", hook, chat, quiet)] == ["hook"]
    unnamed = replace(ASKED, matter=replace(ASKED.matter, terms=replace(TERMS, notify=())))
    assert [name for name, _ in told(unnamed, "asked", hook, chat, quiet)] == ["chat"]
    assert told(ASKED, "seen", hook) == []


def test_a_review_is_told_as_break_glass() -> None:
    review = replace(ASKED, matter=replace(ASKED.matter, kind=RequestKind.REVIEW))
    [(_, notice)] = told(review, "asked", Route("hook", frozenset({NoticeEvent.BREAK_GLASS})))
    assert "BREAK-GLASS" in notice["title"]


def test_blocked_attempts_are_told_where_that_is_asked_for() -> None:
    herald = Herald([Route("hook", ALL), Route("calm", ALL - {NoticeEvent.BLOCKED})])
    event = AuditEvent(
        "session.refused", 5, "eve", "root+prod\x1b[2J", "", {"command": "rm\u202e", "rule": "r"}
    )
    [made] = herald.blocked(event, 9)
    body = json.loads(made.body)
    assert (made.notifier, body["event"], body["what"]) == ("hook", "blocked", "rm⟨U+202E⟩")
    assert "\x1b" not in made.body
    assert herald.blocked(replace(event, code="login.accepted"), 9) == []


def test_lesson_13_nothing_of_a_requester_acts_in_a_message() -> None:
    """lesson 13: escapes in every field that somebody else writes."""
    evil = "x\x1b]52;c;eA==\x07\u202e\r\nBcc: all@example.com"
    request = replace(
        ASKED,
        matter=replace(ASKED.matter, content=evil.encode(), reason=evil),
        setting=replace(SETTING, why=evil, ticket=evil),
    )
    [made] = Herald([Route("hook", ALL)]).told(request, "denied", "bob", evil, 10)
    assert not set("\x1b\x07\u202e\r") & set(json.loads(made.body)["reason"] + made.body)


# ---------------------------------------------------------------- HTTP


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted, and answers what it is told to."""

    server: HookServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/else")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


class HookServer(http.server.ThreadingHTTPServer):
    got: list[tuple[dict[str, str], bytes]]
    answers: list[int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/x"


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[HookServer]:
    server = HookServer(("127.0.0.1", 0), Hook)
    server.got, server.answers = [], []
    with serving(server):
        yield server


async def test_a_webhook_is_signed(hook: HookServer) -> None:
    sent = delivery()
    await Webhook(hook.url, lambda: Secret(KEY)).send(sent)
    [(headers, body)] = hook.got
    assert body.decode() == sent.body
    stamp, _, digest = headers[SIGNATURE].partition(",v1=")
    assert digest == signature(KEY, stamp.removeprefix("t="), body)
    assert digest != signature(b"other", stamp.removeprefix("t="), body)
    assert headers["Bartizan-Delivery"] == "7"


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_anything_but_a_2xx_is_no_success_and_a_redirect_is_not_followed(
    hook: HookServer, status: int
) -> None:
    hook.answers = [status]
    with pytest.raises(Unavailable, match=f"answered {status}"):
        await Webhook(hook.url, lambda: Secret(KEY)).send(delivery())
    assert len(hook.got) == 1


async def test_a_hook_that_is_not_there_is_unavailable_and_its_address_not_told() -> None:
    with pytest.raises(Unavailable) as told_:
        await Slack(lambda: Secret(b"http://127.0.0.1:1/secret-token")).send(delivery())
    assert "secret-token" not in str(told_.value)


async def test_slack_gets_text_that_is_neither_link_nor_mention(hook: HookServer) -> None:
    await Slack(lambda: Secret(hook.url.encode() + b"\n")).send(delivery())
    [(_, body)] = hook.got
    assert "approve R-4F2" in json.loads(body)["text"]
    text = slack_text({"title": "<!channel> & <http://evil>", "what": "```x <@U1>", "event": "settled"})
    assert "<" not in text
    assert text.count("```") == 2


# ---------------------------------------------------------------- mail


class Smtp(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as smtplib speaks, without extensions."""

    server: SmtpServer

    def handle(self) -> None:
        self.say("220 test")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "DATA":
                self.say("354 go on")
                mail = []
                while (row := self.rfile.readline()) != b".\r\n":
                    mail.append(row)
                self.server.got.append(b"".join(mail).decode())
            self.say("221 bye" if verb == "QUIT" else self.server.answer)

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class SmtpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    got: list[str]
    answer = "250 ok"


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    server = SmtpServer(("127.0.0.1", 0), Smtp)
    server.got = []
    with serving(server):
        yield server


def box(server: SmtpServer, **fields: Any) -> Mailbox:
    made = Mailbox("127.0.0.1", server.server_address[1], "none", "bz@example.com", ("dba@example.com",))
    return replace(made, **fields)


async def test_mail_says_what_is_asked_and_how_to_decide(smtp: SmtpServer) -> None:
    await Mail(box(smtp)).send(delivery())
    [mail] = smtp.got
    assert "To: dba@example.com" in mail
    assert "Subject: [bartizan] R-4F2 HIGH" in mail
    assert "Auto-Submitted: auto-generated" in mail


async def test_a_mail_server_that_refuses_is_unavailable(smtp: SmtpServer) -> None:
    smtp.answer = "550 no"
    with pytest.raises(Unavailable, match="does not take it"):
        await Mail(box(smtp)).send(delivery())


async def test_without_the_tls_that_was_asked_for_nothing_is_sent(smtp: SmtpServer) -> None:
    with pytest.raises(Unavailable):
        await Mail(box(smtp, tls="starttls")).send(delivery())
    assert smtp.got == []


# ---------------------------------------------------------------- programs, secrets, configuration


def entry(**fields: Any) -> NotifierEntry:
    return NotifierEntry.model_validate({"name": "x", **fields})


def no_secret(name: str) -> Secret:
    raise Unavailable(f"there is no secret {name}")


async def test_a_command_gets_the_message_on_its_standard_input(tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read())"
    sent = delivery()
    await notifier(entry(command={"run": [sys.executable, "-c", code]}), no_secret).send(sent)
    assert (tmp_path / "got").read_text() == sent.body
    failing = entry(command={"run": [sys.executable, "-c", "raise SystemExit('broken')"]})
    with pytest.raises(Unavailable, match="broken"):
        await notifier(failing, no_secret).send(sent)
    with pytest.raises(Unavailable, match="cannot be run"):
        await notifier(entry(command={"run": [str(tmp_path / "missing")]}), no_secret).send(sent)


def test_a_secret_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"sesame\n")
    path.chmod(0o640)
    with pytest.raises(Unavailable, match="0600"):
        read_secret_file(path)
    path.chmod(0o600)
    assert read_secret_file(path).reveal() == KEY
    with pytest.raises(Unavailable, match="cannot be read"):
        read_secret_file(tmp_path / "missing")


def test_apprise_is_asked_for_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.adapters.notify_command.find_spec", lambda name: None)
    with pytest.raises(InvalidConfig, match="not installed"):
        notifier(entry(apprise={"urls": {"secret": "notify-all"}}), no_secret)


# ---------------------------------------------------------------- the queue


class Flaky:
    """Fails so often, then takes it."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.got: list[Delivery] = []

    async def send(self, delivery: Delivery) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("not now")
        self.got.append(delivery)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "data" / "bartizan.db")
    yield made
    made.close()


def queued(store: SqliteStore) -> ApprovalRequest:
    id = store.open_request(REQUEST)
    store.queue_delivery(delivery(request=id, at=10, next_at=10))
    return replace(REQUEST, id=id)


async def test_a_message_is_tried_again_until_it_is_there(store: SqliteStore) -> None:
    request, flaky, clock = queued(store), Flaky(3), FixedClock()
    courier = Courier(store, {"hook": flaky}, clock)
    waits = []
    for _ in range(4):
        waits.append(await courier.deliver())
        clock.at += round(waits[-1] * SECOND)
    assert waits[:3] == [2.0, 4.0, 8.0]
    assert [one.state for one in store.deliveries(request.id)] == [DeliveryState.SENT]
    assert (len(flaky.got), store.deliveries(request.id)[0].tries) == (1, 4)
    assert [(note.what, note.text) for note in store.notes(request.id)] == [
        ("notify-failed", "not now"), ("notified", ""),
    ]  # fmt: skip


async def test_a_restart_loses_no_message(store: SqliteStore, tmp_path: Path) -> None:
    request = queued(store)
    store.close()
    again = SqliteStore(tmp_path / "data" / "bartizan.db")
    flaky = Flaky(0)
    await Courier(again, {"hook": flaky}, FixedClock()).deliver()
    assert [one.request for one in flaky.got] == [request.id]
    again.close()


async def test_a_notifier_that_is_gone_or_broken_harms_nobody(store: SqliteStore) -> None:
    request = queued(store)
    store.queue_delivery(delivery(request=request.id, notifier="gone", at=10, next_at=10))

    class Broken:
        async def send(self, delivery: Delivery) -> None:
            raise ZeroDivisionError

    await Courier(store, {"hook": Broken()}, FixedClock()).deliver()
    errors = [one.error for one in store.deliveries(request.id)]
    assert errors == ["ZeroDivisionError: ", "no notifier 'gone' is configured any more"]
    assert store.request(request.id) is not None


async def test_a_message_is_given_up_after_a_day_and_that_is_told(store: SqliteStore) -> None:
    request, clock = queued(store), FixedClock()
    courier = Courier(store, {"hook": Flaky(10_000)}, clock)
    for _ in range(400):
        at = store.next_delivery()
        if at is None:
            break
        clock.at = max(clock.at, at)
        await courier.deliver()
    [last] = store.deliveries(request.id)
    assert last.state is DeliveryState.FAILED
    assert last.tries > 100
    assert [note.what for note in store.notes(request.id)] == ["notify-failed", "notify-failed"]


async def test_what_is_queued_wakes_the_courier(store: SqliteStore) -> None:
    flaky = Flaky(0)
    courier = Courier(store, {"hook": flaky}, FixedClock())
    running = asyncio.get_running_loop().create_task(courier.run())
    await asyncio.sleep(0)
    await asyncio.to_thread(queued, store)
    courier.wake_soon()
    await until(lambda: len(flaky.got) == 1)
    running.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)
