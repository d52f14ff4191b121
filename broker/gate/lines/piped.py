"""A shell that reads its commands from a stream, without a terminal: `ssh -T`, `bash -s < file`.

The stream is parted at line ends, lines that a shell would join are joined, and each is judged before it is
passed on. Data that a command would read from the same stream is judged like a command: it may be refused.
"""

from __future__ import annotations

from broker.gate.lines.doings import Doing, Fact, Refused, ToTarget
from broker.gate.lines.ruling import ALLOWED, Accepted, Candidate, JudgeLine, Ruling, Source, Word, ignored
from broker.gate.lines.typing import continues, readings
from broker.gate.reading.place import SOMEWHERE

LONGEST = 1 << 20


class PipedGate:
    """The gate of one session without a terminal. Once a line was refused nothing more is passed on.

    `joins`: a line that a shell would go on with waits for its end; a client of a database is told each line,
    since it runs none before the statement's end."""

    def __init__(self, judge: JudgeLine, accepted: Accepted = ignored, *, joins: bool = True) -> None:
        self._judge, self._accepted, self._joins = judge, accepted, joins
        self._buffer = bytearray()
        self._earlier = b""
        self.refused = False

    @property
    def state(self) -> str:
        return "refused" if self.refused else "stream"

    def keys(self, data: bytes) -> list[Doing]:
        """More of the stream."""
        self._buffer += data
        out: list[Doing] = []
        while not self.refused and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            out += self._line(line, last=False)
        if len(self._buffer) > LONGEST:
            out += self._refuse(Ruling(Word.DOUBT, "", f"a line of more than {LONGEST} bytes"), "")
        return out

    def end(self) -> list[Doing]:
        """The stream has ended; its last line counts without a line end too."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return self._line(rest, last=True) if (rest or self._earlier) and not self.refused else []

    def _line(self, line: bytes, last: bool) -> list[Doing]:
        whole = (self._earlier + line).decode("utf-8", "replace").rstrip("\r\n")
        if self._joins and continues(whole) and not last and len(whole) < LONGEST:
            # Nothing of a line goes out before its end is known: the shell would act on the first half.
            self._earlier += line
            return []
        candidates = [Candidate(one, Source.STREAM) for one in readings(whole)]
        ruling = self._judge(candidates) if whole.strip() else ALLOWED
        if ruling.allowed and whole.strip():
            self._accepted(whole, SOMEWHERE)
        sent, self._earlier = self._earlier + line, b""
        fact = Fact(
            "line",
            {
                "text": whole[:4096], "source": Source.STREAM.value, "agreed": True,
                "verdict": ruling.word.value, "rule": ruling.rule, "reason": ruling.reason, "state": "stream",
            },
        )  # fmt: skip
        if ruling.allowed:
            return [fact, ToTarget(sent)] if whole.strip() else [ToTarget(sent)]
        return [fact, *self._refuse(ruling, whole)]

    def _refuse(self, ruling: Ruling, line: str) -> list[Doing]:
        self.refused = True
        self._buffer.clear()
        return [Refused(ruling, line, None)]
