"""One question on a user's terminal before any session runs there."""

from __future__ import annotations

import asyncio
import codecs
import re

from broker.relay.client import ClientSide, Window

LONGEST = 500


class _Line:
    """A minimal line editor: printable text, backspace, Ctrl-U, Enter; Ctrl-C or Ctrl-D on an empty line
    gives up."""

    def __init__(self, client: ClientSide) -> None:
        self.answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._client = client
        self._text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.rest = b""
        """What came behind the answer; it is not ours."""
        client.left.add_done_callback(lambda _: self._done(None))

    def client_bytes(self, data: bytes) -> None:
        if self.answer.done():
            self.rest += data
            return
        ours, end, rest = _up_to_enter(data)
        for char in self._decoder.decode(ours, bool(end)) + end:
            if not self.answer.done():
                self._key(char)
        if self.answer.done():
            self.rest += rest

    def _key(self, char: str) -> None:
        if char in "\r\n":
            self._done(self._text.strip())
        elif char == "\x03" or (char == "\x04" and not self._text):
            self._done(None)
        elif char == "\x15":
            self._show("\b \b" * len(self._text))
            self._text = ""
        elif char in "\x7f\b":
            if self._text:
                self._text = self._text[:-1]
                self._show("\b \b")
        elif char.isprintable() and len(self._text) < LONGEST:
            self._text += char
            self._show(char)

    def _show(self, text: str) -> None:
        self._client.write(text.encode())

    def _done(self, answer: str | None) -> None:
        if not self.answer.done():
            self._show("\r\n")
            self.answer.set_result(answer)

    def client_eof(self) -> None:
        self._done(None)

    def resized(self, window: Window) -> None: ...

    def signal_sent(self, name: str) -> None: ...

    def break_sent(self, msec: int) -> None: ...

    def request_refused(self, name: str, detail: str) -> None: ...

    def client_full(self) -> None: ...

    def client_ready(self) -> None: ...


async def ask_line(client: ClientSide, question: str) -> str | None:
    """The line that the user types; None where he gives up or leaves."""
    client.write(question.encode())
    line = _Line(client)
    client.attach(line)
    try:
        return await line.answer
    finally:
        client.attach(None)
        client.unread(line.rest)


def _up_to_enter(data: bytes) -> tuple[bytes, str, bytes]:
    """What comes before the first Enter, the Enter, and what comes after it, both empty if there is none."""
    found = re.search(rb"[\r\n]", data)
    if found is None:
        return data, "", b""
    return data[: found.start()], found[0].decode(), data[found.end() :]
