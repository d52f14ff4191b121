"""Audit events: every decision and every change, with a stable code."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """`code` is stable (`login.accepted`, `session.denied` …); `detail` is flat and free of secrets."""

    code: str
    at: int
    actor: str
    subject: str = ""
    session: str = ""
    detail: dict[str, str | int | bool | None] = field(default_factory=dict)
