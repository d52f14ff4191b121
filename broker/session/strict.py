"""Strict line mode inside a live session: what its gate alone asks for, turned into the session's actions."""

from __future__ import annotations

from broker.gate.lines.doings import Doing, Hangup, Kept, Said
from broker.gate.lines.ruling import Ruling, Word
from broker.model import exits
from broker.session.actions import Action, Close, RecordEvent
from broker.session.held import EDIT_HINT
from broker.session.lines import GatedLines
from broker.session.notices import because


class StrictLines(GatedLines):
    """A session whose lines are edited here. What the editor draws is recorded as the output that it is."""

    @property
    def state(self) -> str:
        return f"line: {self._gate.state}"

    @property
    def _known_by(self) -> str:
        return "editor"

    def _tell(self, doing: Doing, t: int) -> list[Action]:
        match doing:
            case Kept(ruling):
                glyph, word, text = _refusal(ruling)
                return self._say(word, text, self._block(glyph, word, text, EDIT_HINT))
            case Said(glyph, word, text):
                return self._say(word, text, self._block(glyph, word, text))
            case Hangup(why):
                return self._hang_up(why)
        return super()._tell(doing, t)

    def _hang_up(self, why: str) -> list[Action]:
        text = f"{why}. In strict line mode a session ends when its shell cannot be held."
        notice = b"\r\n" + self._block("ended", "ENDED", text)
        end = Close(exits.DENIED, "gate-lost")
        return [*self._say("ENDED", text, notice), *self.ended(end.reason), end]

    def _block(self, glyph: str, word: str, text: str, hint: str = "") -> bytes:
        return self._voice.block(glyph, word, text, hint, self._gate.cols)

    def _say(self, word: str, text: str, data: bytes) -> list[Action]:
        return [RecordEvent("notice", {"text": f"{word} {text}"}), *self._show(data)]


def _refusal(ruling: Ruling) -> tuple[str, str, str]:
    glyph, word = ("denied", "BLOCKED") if ruling.word is Word.DENY else ("held", "NOT SENT")
    return glyph, word, f"{because(ruling)}. Nothing sent."
