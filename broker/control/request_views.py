"""Requests as they travel on the wire: every text of requester and target drawn, whole."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from broker.model.display import drawn, drawn_row
from broker.model.requests import ApprovalRequest, Note, RequestKind
from broker.services.approvals import deciding
from broker.services.approvals.lookup import Detail, Seen
from broker.wire import approvals as wire


def request_view(seen: Seen) -> wire.RequestView:
    request = seen.request
    matter, setting = request.matter, request.setting
    return wire.RequestView(
        id=request.id,
        kind=matter.kind.value,
        state=request.state.value,
        user=matter.user,
        agent=setting.agent,
        target=matter.target,
        account=matter.account,
        channel=matter.channel,
        what=_what(request),
        reason=drawn_row(matter.reason),
        risk=setting.level.value,
        score=setting.score,
        opened_at=request.opened_at,
        expires_at=matter.expires_at,
        session=matter.session,
        may_decide=seen.may_decide,
        mine=seen.mine,
        settled_at=request.settled_at,
        settled_by=request.settled_by,
        comment=drawn_row(request.comment),
        until=request.until,
    )


def _what(request: ApprovalRequest) -> str:
    matter = request.matter
    if matter.content:
        return drawn_row(matter.content)
    reason = drawn_row(matter.reason) or "no reason given"
    return f"opened without approval: {reason}" if matter.kind is RequestKind.REVIEW else reason


def request_detail(
    detail: Detail,
    run_within_s: int,
    so_far: Sequence[wire.LineView],
    deliveries: Sequence[wire.DeliveryView],
) -> wire.RequestDetail:
    seen = detail.seen
    request = seen.request
    matter, setting = request.matter, request.setting
    past = detail.past
    return wire.RequestDetail(
        request=request_view(seen),
        digest=matter.digest,
        content=content_view(matter.content),
        groups=list(setting.groups),
        source=setting.source,
        credential=drawn_row(setting.credential),
        mfa_at=setting.mfa_at,
        tags={drawn_row(key): drawn_row(value) for key, value in setting.tags.items()},
        note=drawn_row(setting.note),
        session_started_at=setting.session_started_at,
        ticket=drawn_row(setting.ticket),
        rule=matter.rule.name,
        origin=matter.rule.origin,
        why=drawn_row(setting.why),
        risk=wire.Risk(
            setting.level.value,
            setting.score,
            [wire.RiskFactor(one.name, one.weight, drawn_row(one.text)) for one in setting.factors],
        ),
        past=wire.PastView(
            past.approved,
            past.denied,
            past.last.id if past.last else "",
            past.last.settled_by if past.last else "",
        ),
        history=wire.HistoryView(
            detail.history.sessions, detail.history.holds, detail.history.approved, detail.history.blocked
        ),
        panels=[
            wire.PanelView(tally.panel.text, tally.panel.needed, list(tally.agreed))
            for tally in detail.panels
        ],
        needs=matter.terms.text,
        effect=deciding.effect(request, run_within_s),
        lasts_s=matter.lasts_s,
        screen=list(setting.screen),
        so_far=list(so_far),
        votes=[
            wire.VoteView(vote.by, vote.at, vote.approve, drawn_row(vote.comment), vote in detail.counting)
            for vote in detail.votes
        ],
        notes=[note_view(note) for note in detail.notes],
        deliveries=list(deliveries),
        may_decide=seen.may_decide,
        why_not=seen.why_not,
        confirm=deciding.confirmation(request) if seen.may_decide else "",
        used_at=request.used_at,
        used_session=request.used_session,
    )


def note_view(note: Note) -> wire.NoteView:
    return wire.NoteView(note.at, note.what, note.by, drawn_row(note.text))


def content_view(content: bytes) -> wire.Drawn:
    """The exact bytes as they may be shown, their length and digest."""
    shown = drawn(content)
    digest = hashlib.sha256(content).hexdigest() if content else ""
    return wire.Drawn(shown.text, shown.hidden, list(shown.scripts), len(content), digest)
