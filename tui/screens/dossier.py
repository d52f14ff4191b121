"""A request in lines: everything that who decides has to know, nothing cut."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from broker.wire.approvals import NoteView, RequestDetail
from tui import states
from tui.widgets.lines import Piece, exact, wrap

Line = list[Piece]

KINDS = {
    "session": "OPEN A SESSION",
    "window": "OPEN A WINDOW",
    "command": "HELD COMMAND",
    "review": "REVIEW",
}
_LABEL = 7


class Dossier:
    """Lines of one width. The first `decisive` ones, which end with the exact input, are to be read before an
    approval."""

    def __init__(self, detail: RequestDetail, width: int, now: int, *, ascii_only: bool = False) -> None:
        self._detail, self._width, self._now, self._ascii = detail, width, now, ascii_only
        self.lines: list[Line] = [*self._who(), *self._input()]
        self.decisive = len(self.lines)
        self.lines += [*self._judged(), *self._screen()]

    def _who(self) -> Iterator[Line]:
        d, r = self._detail, self._detail.request
        groups = f" ({', '.join(d.groups)})" if d.groups else ""
        mfa = f", MFA {states.age(d.mfa_at, self._now)}" if d.mfa_at is not None else ", no MFA seen"
        agent = "agent " if r.agent else ""
        yield from self._row("Who", f"{agent}{r.user}{groups} from {d.source}, {d.credential}{mfa}")
        env = f", {d.tags['env'].upper()}" if "env" in d.tags else ""
        note, since = (f", {d.note}" if d.note else ""), ""
        if r.session:
            age = states.length(self._now - (d.session_started_at or self._now))
            since = f", {r.session} for {age}, recorded"
        yield from self._row("Where", f"{r.account}@{r.target}{env}{note}{since}")
        ticket = f", ticket {d.ticket}" if d.ticket else ""
        yield from self._row("Why", (f'"{r.reason}"' if r.reason else "no reason given") + ticket)

    def _input(self) -> Iterator[Line]:
        content = self._detail.content
        if not content.bytes:
            return
        hidden = f"{content.hidden} hidden characters" if content.hidden else "no hidden characters"
        mixed = f", mixed scripts: {', '.join(content.scripts)}" if content.scripts else ""
        facts = f"{content.bytes} bytes, {hidden}{mixed}"
        digest = f" sha256 {content.sha256[:4]}…{content.sha256[-4:]} "
        suspicious = "yellow bold" if content.hidden or content.scripts else ""
        head = f" Exact input, {facts} "
        if cell_len(head) + len(digest) < self._width - 2:
            yield [(self._rule(head, digest), suspicious)]
        else:
            yield [(self._rule(" Exact input ", digest), suspicious)]
            yield from ([(f" {line}", suspicious)] for line in wrap(facts, self._width - 2))
        for line in exact(content.text, self._width - 2):
            yield [(" ", ""), (line, "bold")]
        yield [(self._rule(), "")]

    def _judged(self) -> Iterator[Line]:
        d = self._detail
        where = f" ({d.origin})" if d.origin else ""
        why = f": {d.why}" if d.why else ""
        yield from self._row("Rule", f"{d.rule}{where}{why}")
        factors = " · ".join(f"{factor.text} +{factor.weight}" for factor in d.risk.factors)
        yield from self._row("Risk", factors or "nothing that adds to it")
        yield from self._row("Past", _past(d))
        yield from self._row("Needs", d.needs)
        for panel in d.panels:
            if panel.agreed:
                yield from self._row("", f"agreed so far: {', '.join(panel.agreed)}")
        yield from self._row("Then", d.effect)
        if d.why_not:
            yield from self._row("You", d.why_not)

    def _screen(self) -> Iterator[Line]:
        d = self._detail
        if d.screen:
            yield [(self._rule(" Screen when held "), "")]
            for row in d.screen:
                yield [(" ", ""), (row, "")]
        if d.so_far:
            yield [(self._rule(f" {d.request.session} so far: {len(d.so_far)} lines "), "")]
            for line in d.so_far:
                yield [(f" {states.length(line.t)} ", "dim"), (f"{line.answer:<5} ", "bold"), (line.text, "")]
        if d.notes:
            yield [(self._rule(" What happened "), "")]
            yield from (self._note(note) for note in d.notes)
        for delivery in d.deliveries:
            failed = f", try {delivery.tries}: {delivery.error}" if delivery.error else ""
            yield from self._row("Told", f"{delivery.notifier} {delivery.state}{failed}")
        yield from self._row("User", _history(d))

    def _note(self, note: NoteView) -> Line:
        by = f"by {note.by} " if note.by else ""
        text = f'"{note.text}"' if note.text else ""
        return [(f" {states.seconds(note.at)} ", "dim"), (f"{note.what} ", "bold"), (f"{by}{text}", "")]

    def _row(self, label: str, text: str) -> Iterator[Line]:
        for line in wrap(text, self._width - _LABEL - 1) or [""]:
            yield [(f" {label:<{_LABEL - 1}}", "dim"), (line, "")]
            label = ""

    def _rule(self, head: str = "", tail: str = "") -> str:
        dash = "-" if self._ascii else "─"
        room = self._width - len(head) - len(tail) - 3
        return f"{dash}{head}{dash * max(0, room)}{tail if room >= 0 else ''}{dash}"


def _past(d: RequestDetail) -> str:
    past = d.past
    if not past.approved and not past.denied:
        return "same rule, same target, 90 days: none decided"
    last = f" (last {past.last_id}, {past.last_by})" if past.last_id else ""
    return f"same rule, same target, 90 days: {past.approved} approved, {past.denied} denied{last}"


def _history(d: RequestDetail) -> str:
    h = d.history
    return (
        f"{d.request.user}, 90 days: {h.sessions} sessions, {h.holds} holds ({h.approved} approved), "
        f"{h.blocked} blocked"
    )
