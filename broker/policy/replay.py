"""What other policies would have answered to what was recorded: sessions opened, single commands, lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from broker.model.access import AccessRequest, Rule, Verdict
from broker.model.target import Channel
from broker.policy.engine import Engine


@dataclass(frozen=True, slots=True)
class PastLine:
    """A line that was judged; `at` in microseconds since the epoch. `skipped` says why it cannot be asked
    about again; empty: it can."""

    at: int
    text: str
    answer: str
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Past:
    """One recorded session: what was asked when it was opened, the answer, and its lines."""

    session: str
    request: AccessRequest
    answer: str
    lines: Iterable[PastLine] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What would be answered differently. `kind` is `session`, `command` or `line`."""

    session: str
    kind: str
    request: AccessRequest
    at: int
    text: str
    old: str
    new: str
    rule: Rule
    reason: str


@dataclass(slots=True)
class Tally:
    """How many of each kind were asked about, how many would be answered differently, and why others were
    not asked about."""

    asked: Counter[str] = field(default_factory=Counter)
    differ: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Said:
    word: str
    rule: Rule
    reason: str


class Replay:
    """Asks `new` about the past. Where `now`, the policies in force, say the same as `new`, an answer that
    was recorded otherwise is older than this change and no difference."""

    def __init__(self, now: Engine, new: Engine) -> None:
        self._now = now
        self._new = new
        self.tally = Tally()

    def differences(self, past: Past) -> Iterator[Difference]:
        """Those of one session, in the order of time."""
        kind = "command" if past.request.channel is Channel.EXEC else "session"
        text = (past.request.command or b"").decode("utf-8", "replace")
        opened = _opening(self._new, past.request)
        self.tally.asked[kind] += 1
        if opened.word != past.answer and opened.word != _opening(self._now, past.request).word:
            yield self._difference(past, kind, past.request.at, text, past.answer, opened)
        for line in past.lines:
            if opened.word == "deny" or line.skipped:
                self.tally.skipped[line.skipped or "lines of sessions that would not have been opened"] += 1
            else:
                yield from self._line(past, line)

    def _line(self, past: Past, line: PastLine) -> Iterator[Difference]:
        self.tally.asked["line"] += 1
        request = replace(past.request, line_at=line.at)
        said = _judged(self._new, request, line.text)
        if said.word != line.answer and said.word != _judged(self._now, request, line.text).word:
            yield self._difference(past, "line", line.at, line.text, line.answer, said)

    def _difference(self, past: Past, kind: str, at: int, text: str, old: str, said: _Said) -> Difference:
        self.tally.differ[kind] += 1
        return Difference(past.session, kind, past.request, at, text, old, said.word, said.rule, said.reason)


def _opening(engine: Engine, request: AccessRequest) -> _Said:
    """The answer to the request: for a single command, that of the rules for it where they let it wait."""
    decision = engine.decide(request)
    said = decision.judgement
    if decision.verdict is Verdict.ALLOW and said is not None:
        return _Said(said.verdict.value, said.rule, said.reason)
    held = decision.verdict is Verdict.NEED_APPROVAL and request.channel is Channel.EXEC
    return _Said("hold" if held else decision.verdict.value, decision.rule, decision.reason)


def _judged(engine: Engine, request: AccessRequest, text: str) -> _Said:
    said = engine.judge_line(request, text.encode("utf-8", "replace"))
    if said is None:
        return _Said("allow", Rule("no rule", ""), "no policy has rules for its lines")
    return _Said(said.verdict.value, said.rule, said.reason)
