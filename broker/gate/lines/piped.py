"""A shell that reads its commands from a stream, without a terminal: `ssh -T`, `bash -s < file`.

The stream is parted at line ends, lines that a shell would join are joined, and each is judged before it is
passed on. Data that a command would read from the same stream is judged like a command: it may be refused.
At a line that is held the stream stops until somebody has decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from broker.gate.lines.doings import (
    Doing,
    EndTarget,
    Fact,
    Held,
    Refused,
    Released,
    Settled,
    Spot,
    ToTarget,
    Warned,
)
from broker.gate.lines.ruling import (
    Candidate,
    JudgeLine,
    Ruling,
    Source,
    Word,
    doubted,
)
from broker.gate.lines.typing import continues, readings

LONGEST = 1 << 20
NO_TERMINAL = "it has to be confirmed by hand, and there is no terminal to do that at"
NO_TEXT = "it needs approval and holds bytes that are no text, so it cannot be shown to anybody"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A line that waits, and the exact bytes that are sent if it may run."""

    number: int
    data: bytes
    line: str


class PipedGate:
    """The gate of one session without a terminal. Once a line was refused nothing more is passed on."""

    def __init__(self, judge: JudgeLine) -> None:
        self._judge = judge
        self._buffer = bytearray()
        self._earlier = b""
        self._number = 0
        self._held: _Waiting | None = None
        self._ended = False
        self.refused = False

    @property
    def state(self) -> str:
        return "refused" if self.refused else "held" if self._held is not None else "stream"

    @property
    def waiting(self) -> int:
        """Bytes that have come and are not judged."""
        return len(self._buffer)

    def keys(self, data: bytes) -> list[Doing]:
        """More of the stream."""
        if self.refused:
            return []
        self._buffer += data
        return self._go_on()

    def end(self) -> list[Doing]:
        """The stream has ended; its last line counts without a line end too."""
        self._ended = True
        return self._go_on()

    def settle(self, number: int, outcome: str, by: str, comment: str) -> list[Doing]:
        """The held line of that number was decided; only `approved` lets it run."""
        held = self._held
        if held is None or held.number != number:
            return []
        self._held = None
        settled = Settled(number, outcome, by, comment)
        if settled.runs:
            return [settled, Released(number), ToTarget(held.data), *self._go_on()]
        self._stop()
        return [settled]

    def _go_on(self) -> list[Doing]:
        """Judge and pass on what has come, up to a line that is held or refused."""
        out: list[Doing] = []
        while self._open and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            out += self._line(line, last=False)
        if self._open and len(self._buffer) > LONGEST:
            out += self._refuse(doubted(f"a line of more than {LONGEST} bytes"), "")
        if self._open and self._ended:
            rest = bytes(self._buffer)
            self._buffer.clear()
            out += self._line(rest, last=True) if rest or self._earlier else []
        if self._ended and self._open:
            out.append(EndTarget())
        return out

    @property
    def _open(self) -> bool:
        return not self.refused and self._held is None

    def _line(self, line: bytes, last: bool) -> list[Doing]:
        data = self._earlier + line
        whole = data.decode("utf-8", "replace").rstrip("\r\n")
        if continues(whole) and not last and len(whole) < LONGEST:
            # Nothing of a line goes out before its end is known: the shell would act on the first half.
            self._earlier = data
            return []
        self._earlier = b""
        if not whole.strip():
            return [ToTarget(data)]
        ruling = self._ruled(whole)
        facts: list[Doing] = [_fact(whole, ruling)]
        facts += [
            Fact("observed", {"rule": rule.name, "origin": rule.origin, "text": whole[:4096]})
            for rule in ruling.observed
        ]
        if ruling.waits:
            self._number += 1
            self._held = _Waiting(self._number, data, whole)
            return [*facts, Held(self._number, ruling, whole, Spot())]
        if not ruling.allowed:
            return [*facts, *self._refuse(ruling, whole)]
        warned = [Warned(ruling, whole, Spot())] if ruling.word is Word.WARN else []
        return [*facts, *warned, ToTarget(data)]

    def _ruled(self, whole: str) -> Ruling:
        ruling = self._judge([Candidate(one, Source.STREAM) for one in readings(whole)])
        if ruling.word is Word.CONFIRM:
            return replace(ruling, word=Word.DENY, reason=f"{ruling.reason}: {NO_TERMINAL}")
        if ruling.word is Word.HOLD and "\ufffd" in whole:
            return replace(ruling, word=Word.DENY, reason=f"{ruling.reason}: {NO_TEXT}")
        return ruling

    def _refuse(self, ruling: Ruling, line: str) -> list[Doing]:
        self._stop()
        return [Refused(ruling, line, None)]

    def _stop(self) -> None:
        self.refused = True
        self._buffer.clear()


def _fact(whole: str, ruling: Ruling) -> Fact:
    return Fact(
        "line",
        {
            "text": whole[:4096], "source": Source.STREAM.value, "agreed": True,
            "verdict": ruling.word.value, "rule": ruling.rule, "reason": ruling.reason, "state": "stream",
        },
    )  # fmt: skip
