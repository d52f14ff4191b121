"""A notifier by e-mail: SMTP from the standard library, in a thread."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import msgspec

from broker.model.errors import Unavailable
from broker.model.notification import Delivery
from broker.model.secret import Secret

TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Mailbox:
    """How mail is sent. `tls`: `starttls`, `tls` or `none`."""

    host: str
    port: int
    tls: str
    sender: str
    to: Sequence[str]
    user: str | None = None
    password: Callable[[], Secret] | None = None


class Mail:
    """One plain-text message to all recipients. The number of the delivery is in its id, so that a message
    sent twice can be told from two."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box

    async def send(self, delivery: Delivery) -> None:
        try:
            await asyncio.to_thread(self._send, delivery)
        except (OSError, smtplib.SMTPException, ssl.SSLError) as exc:
            raise Unavailable(f"the mail server does not take it ({_words(exc)})") from None

    def _send(self, delivery: Delivery) -> None:
        box = self._box
        context = ssl.create_default_context()
        secured = box.tls == "tls"
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(box.host, box.port, timeout=TIMEOUT, context=context)
            if secured
            else smtplib.SMTP(box.host, box.port, timeout=TIMEOUT)
        )
        with server:
            if box.tls == "starttls":
                server.starttls(context=context)
            if box.user is not None and box.password is not None:
                server.login(box.user, box.password().reveal().decode())
            server.send_message(message(delivery, box))


def message(delivery: Delivery, box: Mailbox) -> EmailMessage:
    """Subject from the title; the body has what decides, and how to."""
    notice: dict[str, Any] = msgspec.json.decode(delivery.body)
    mail = EmailMessage()
    mail["From"], mail["To"] = box.sender, ", ".join(box.to)
    mail["Subject"] = f"[bartizan] {notice['title']}"[:200]
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(idstring=f"delivery-{delivery.number}", domain="bartizan.invalid")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text(notice))
    return mail


def text(notice: dict[str, Any]) -> str:
    """The notice for people, one fact a line."""
    names: tuple[str, ...] = (
        "user",
        "account",
        "target",
        "session",
        "reason",
        "ticket",
        "rule",
        "origin",
        "why",
        "needs",
    )
    names += ("expires_at", "by", "comment", "digest")
    lines = [str(notice["title"]), ""]
    if notice.get("what"):
        lines += ["Exact input, hidden characters spelled out:", f"  {notice['what']}", ""]
    lines += [f"{name + ':':<12}{notice[name]}" for name in names if notice.get(name)]
    risk = notice.get("risk")
    if risk:
        factors = ", ".join(f"{one['name']} +{one['weight']}" for one in risk["factors"])
        lines.append(f"{'risk:':<12}{risk['level']} ({risk['score']}) {factors}".rstrip())
    if notice.get("event") in ("requested", "break-glass"):
        lines += ["", "Look first:", f"  {notice['show']}", "Then one of:"]
        lines += [f"  {notice['approve']}", f"  {notice['deny']}"]
    return "\n".join(lines) + "\n"


def _words(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}"[:300]
