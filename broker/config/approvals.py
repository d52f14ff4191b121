"""The keys `approvals` and `notifiers` of `bartizan.yaml`. Secrets are named, never written there."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StringConstraints, model_validator

from broker.config.units import Count, Duration, FilePath, Name, Port, Text, filled, one_or_more
from broker.config.validate import Section

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)\Z")
SECRET_PREFIX = "notify-"  # noqa: S105 - a name
"""Stored secrets that notifiers may use begin so: no other can be sent anywhere by a line of the file."""


def _office_hours(value: object) -> object:
    """`07:00-19:00` as minutes since midnight."""
    match = _HOURS.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"expected hours such as 07:00-19:00, got {value!r}")
    start = int(match[1]) * 60 + int(match[2])
    end = int(match[3]) * 60 + int(match[4]) if match[3] else 24 * 60
    if start >= end:
        raise ValueError(f"the hours {value} are empty")
    return (start, end)


class Approvals(Section):
    """Defaults where a policy says nothing, and bounds."""

    within: Duration = 900.0
    lasts: Duration = 1800.0
    run_within: Duration = 60.0
    first_use: Duration = 12 * 3600.0
    max_open: Count = 20
    max_per_hour: Count = 120
    office_hours: Annotated[tuple[int, int], BeforeValidator(_office_hours)] = (7 * 60, 19 * 60)
    command: Text = "ssh bastion"
    """How people reach this bastion, for the lines in messages."""


class Events(StrEnum):
    """For `on`."""

    REQUESTED = "requested"
    SETTLED = "settled"
    BREAK_GLASS = "break-glass"
    BLOCKED = "blocked"


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an address such as https://hooks.example.com/x, got {value!r}")
    if parts.username or parts.password:
        raise ValueError("holds a password: secrets do not stand in this file")
    return value


def _secret_name(value: str) -> str:
    if not value.startswith(SECRET_PREFIX):
        raise ValueError(f"a secret for notifiers is named {SECRET_PREFIX}…, got {value!r}")
    return value


Url = Annotated[str, AfterValidator(_url)]
Address = Annotated[
    str, StringConstraints(pattern=r"^[^@\s,;<>\x00-\x1f]+@[^@\s,;<>\x00-\x1f]+$", max_length=254)
]


class SecretRef(Section):
    """Exactly one: a stored secret (`bartizan secrets add notify-…`), or a file of mode 0600."""

    secret: Annotated[Name, AfterValidator(_secret_name)] | None = None
    file: FilePath | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected exactly one of secret, file")
        return self


class Webhook(Section):
    """A POST of JSON, signed with the key."""

    url: Url
    key: SecretRef


class Slack(Section):
    """An incoming webhook of Slack, or of what understands the same; its address is the secret."""

    url: SecretRef


class Tls(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Smtp(Section):
    host: Text
    port: Port = 587
    tls: Tls = Tls.STARTTLS
    user: Text | None = None
    password: SecretRef | None = None
    sender: Address = Field(alias="from")
    to: Annotated[tuple[Address, ...], BeforeValidator(one_or_more), BeforeValidator(filled)]

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together")
        if self.user is not None and self.tls is Tls.NONE:
            raise ValueError("a password is not sent without tls")
        return self


class Command(Section):
    """A program that gets the message as JSON on its standard input."""

    run: Annotated[tuple[Text, ...], BeforeValidator(filled)]


class Apprise(Section):
    """Addresses in Apprise's form, one a line, in a file: they hold secrets. Needs the extra `apprise`."""

    urls: SecretRef


class NotifierEntry(Section):
    """One notifier: exactly one kind."""

    name: Name
    on: Annotated[tuple[Events, ...], BeforeValidator(one_or_more), BeforeValidator(filled)] = (
        Events.REQUESTED,
        Events.SETTLED,
        Events.BREAK_GLASS,
    )
    default: StrictBool = False
    webhook: Webhook | None = None
    slack: Slack | None = None
    smtp: Smtp | None = None
    command: Command | None = None
    apprise: Apprise | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = self.model_fields_set & {"webhook", "slack", "smtp", "command", "apprise"}
        if len(kinds) != 1:
            raise ValueError("expected exactly one of webhook, slack, smtp, command, apprise")
        return self


def distinct(entries: tuple[NotifierEntry, ...]) -> tuple[NotifierEntry, ...]:
    """Refuses two of one name."""
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is there twice")
    return entries


Notifiers = Annotated[tuple[NotifierEntry, ...], AfterValidator(distinct)]
