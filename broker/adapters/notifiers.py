"""The configured notifiers, each with its secret within reach and not in memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from broker.adapters.notify_command import Apprise, Command
from broker.adapters.notify_http import Slack, Webhook
from broker.adapters.notify_mail import Mail, Mailbox
from broker.config.approvals import NotifierEntry, SecretRef, Smtp
from broker.model.errors import Unavailable
from broker.model.secret import Secret
from broker.ports import Notifier

MAX_SECRET = 64 << 10

OpenStored = Callable[[str], Secret]
"""The stored secret of that name. Raises Unavailable."""


def notifier(entry: NotifierEntry, stored: OpenStored) -> Notifier:
    """The notifier of one entry. Raises InvalidConfig: it needs what is not installed."""
    if entry.webhook is not None:
        return Webhook(entry.webhook.url, _secret(entry.webhook.key, stored))
    if entry.slack is not None:
        return Slack(_secret(entry.slack.url, stored))
    if entry.smtp is not None:
        return Mail(_mailbox(entry.smtp, stored))
    if entry.command is not None:
        return Command(entry.command.run)
    assert entry.apprise is not None, "the schema asks for exactly one kind"
    return Apprise(_secret(entry.apprise.urls, stored))


def _mailbox(smtp: Smtp, stored: OpenStored) -> Mailbox:
    password = None if smtp.password is None else _secret(smtp.password, stored)
    return Mailbox(smtp.host, smtp.port, smtp.tls.value, smtp.sender, smtp.to, smtp.user, password)


def _secret(ref: SecretRef, stored: OpenStored) -> Callable[[], Secret]:
    """Reads it anew each time, so that a new value applies to the next message."""
    if ref.file is not None:
        path = ref.file
        return lambda: read_secret_file(path)
    name = ref.secret or ""
    return lambda: stored(name)


def read_secret_file(path: Path) -> Secret:
    """The content without the line end. Raises Unavailable: missing, empty, too long, or open to others."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
                raise Unavailable(f"{path} has to be a file of mode 0600", hint=f"chmod 600 {path}")
            value = file.read(MAX_SECRET + 1).rstrip(b"\r\n")
    except OSError as exc:
        raise Unavailable(f"{path} cannot be read ({exc.strerror})") from None
    if not 0 < len(value) <= MAX_SECRET:
        raise Unavailable(f"{path} has to hold 1 to {MAX_SECRET} bytes")
    return Secret(value)
