"""A gate in a conversation: a user who types, a program that echoes like a cooked terminal, a judge."""

from __future__ import annotations

from collections.abc import Sequence

from broker.gate.lines import Candidate, Ruling, Word
from broker.gate.lines.doings import Doing, Fact, Held, Refused, Settled, ToClient, ToTarget, Wake
from broker.gate.lines.gate import LineGate, Setup
from broker.gate.lines.ruling import stricter
from broker.model.approval import ApprovalTerms, Panel

NONCE = "c0ffee" * 5
FORBIDDEN = "forbidden"
TERMS = ApprovalTerms((Panel(1, frozenset({"bob"})),))
WAITS = {"hold": Word.HOLD, "confirm": Word.CONFIRM, "warn": Word.WARN}
"""What the answer is to a command that begins with one of these words."""


def judge(candidates: Sequence[Candidate]) -> Ruling:
    """No command may begin with FORBIDDEN; WAITS has what else. What `cat` reads from a here-document is
    data."""
    answer = Ruling(Word.ALLOW, "rest", "no rule denies it")
    for candidate in candidates:
        text = candidate.text.partition("\n")[0] if candidate.text.startswith("cat <<") else candidate.text
        for part in text.replace("\\\n", "").replace("\n", ";").split(";"):
            answer = stricter(answer, _judged(part.strip()))
    return answer


def _judged(command: str) -> Ruling:
    if command.startswith(FORBIDDEN):
        return Ruling(Word.DENY, "no-forbidden", "forbidden never runs")
    for word, answer in WAITS.items():
        if command.startswith(word):
            return Ruling(answer, f"{word}-it", f"{word} is not for everybody", "p.yaml:7", TERMS)
    return Ruling(Word.ALLOW, "rest", "no rule denies it")


class Conversation:
    """`say` and `hear` are what user and target do; `sent`, `shown`, `facts`, `refused` what came of it."""

    def __init__(self, *, hook: bool = False, cols: int = 80, rows: int = 24, **setup: object) -> None:
        self.gate = LineGate(Setup(cols, rows, NONCE, "_t", hook=hook, **setup), judge)  # type: ignore[arg-type]
        self.now = 0
        self.sent, self.shown = bytearray(), bytearray()
        self.facts: list[Fact] = []
        self.refused: list[Refused] = []
        self.held: list[Held] = []
        self.settled: list[Settled] = []
        self.others: list[Doing] = []
        self.pending = bytearray()
        """Sent and not yet looked at by `reader`."""
        self._wakes: list[int] = []
        self._do(self.gate.start(0))

    def say(self, data: bytes | str) -> Conversation:
        """Keys, in one piece."""
        self.now += 10_000
        self._do(self.gate.keys(data.encode() if isinstance(data, str) else data, self.now))
        return self

    def hear(self, data: bytes | str) -> Conversation:
        """Output of the target."""
        self.now += 1_000
        self._do(self.gate.output(data.encode() if isinstance(data, str) else data, self.now))
        return self

    def mark(self, kind: str, serial: int = 0, payload: str = "", level: int = 1) -> Conversation:
        return self.hear(f"\x1b]5522;{NONCE};{level};{kind};{serial};{payload}\x07")

    def settle(self, outcome: str = "approved", number: int | None = None) -> Conversation:
        """Somebody decides about the line held last."""
        self.now += 1_000
        number = self.held[-1].number if number is None else number
        self._do(self.gate.settle(number, outcome, self.now, "bob", "ok"))
        return self

    def wait(self, ms: int = 1500) -> Conversation:
        """Time passes and timers fire."""
        end = self.now + ms * 1000
        while due := [at for at in self._wakes if at <= end]:
            at = min(due)
            self._wakes.remove(at)
            self.now = max(self.now, at)
            self._do(self.gate.wake(self.now))
        self.now = end
        return self

    @property
    def last_line(self) -> dict[str, str | int | bool | None]:
        """The fact about the line judged last."""
        return [fact.fields for fact in self.facts if fact.kind == "line"][-1]

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def taken(self) -> bytes:
        """What the target was sent since the last look."""
        data = bytes(self.pending)
        self.pending.clear()
        return data

    def _do(self, doings: Sequence[Doing]) -> None:
        for doing in doings:
            match doing:
                case ToTarget(data):
                    self.sent += data
                    self.pending += data
                case ToClient(data):
                    self.shown += data
                case Fact():
                    self.facts.append(doing)
                case Refused():
                    self.refused.append(doing)
                    notice = b"\r\x1b[K# BLOCKED\r\n" + (doing.repaint or b"")
                    self.shown += notice
                    if not doing.overlay:
                        self.gate.shown(notice)
                case Held():
                    self.held.append(doing)
                    self._note("\r\n> HELD")
                case Settled():
                    self.settled.append(doing)
                    self._note(f"\r\n= {doing.outcome}" + ("\r\n" if doing.more or not doing.runs else ""))
                case Wake(at):
                    self._wakes = [at]
                case _:
                    self.others.append(doing)

    def _note(self, text: str) -> None:
        """A notice of the broker's."""
        self.shown += text.encode()
        self.gate.shown(text.encode())


class Cooked:
    """A program behind a terminal in canonical mode (termios, ICANON ECHO ECHOE ECHOK ECHOCTL ISIG).

    `ran`: the lines it read. `kill`, `intr`: whether those keys work.
    """

    def __init__(
        self, talk: Conversation, prompt: str = "$ ", *, kill: bool = True, intr: bool = True
    ) -> None:
        self.talk, self.prompt, self.line, self.ran = talk, prompt, "", []  # type: ignore[var-annotated]
        self.kill, self.intr, self.echo = kill, intr, True
        talk.hear(prompt)

    def type(self, data: str) -> Cooked:
        """The user types; the program answers until nothing moves any more."""
        self.talk.say(data)
        return self.settle()

    def settle(self) -> Cooked:
        for _ in range(20):
            self.answer()
            self.talk.wait(80)
            if not self.talk.pending:
                break
        return self

    def answer(self) -> None:
        out = ""
        for char in self.talk.taken().decode():
            out += self._char(char)
        if out:
            self.talk.hear(out)

    def _char(self, char: str) -> str:
        if char in "\r\n":
            self.ran.append(self.line)
            self.line = ""
            return f"\r\n{self.prompt}"
        if char == "\x15" and self.kill:
            gone, self.line = self.line, ""
            return "\b \b" * sum(2 if c < " " else 1 for c in gone)
        if char == "\x03" and self.intr:
            self.line = ""
            return f"^C\r\n{self.prompt}"
        if char == "\x7f":
            gone, self.line = self.line[-1:], self.line[:-1]
            return "\b \b" * (2 if gone and gone < " " else len(gone))
        self.line += char
        shown = f"^{chr(ord(char) + 64)}" if char < " " else char
        return shown if self.echo else ""
