"""What the broker and the locked shell say to each other: frames there, marks back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broker.gate.lines.marks import unquoted

SEPARATOR = "\x1f"
_ESCAPED = re.compile(r"[\\\x00-\x1f\x7f]")


def frame(nonce: str, level: int, serial: int, kind: str, text: str = "") -> bytes:
    """`kind`: l run the line, c complete, i interrupt. Nobody else can make one: the nonce is never typed."""
    return f"\x1e{nonce};{level};{serial};{kind};{escaped(text)}\x1e".encode()


def go(nonce: str, level: int, serial: int) -> bytes:
    """The answer to `S`: what was typed before it was typed ahead."""
    return f"\x1e{nonce};{level};{serial};g\x1e".encode()


def escaped(text: str) -> str:
    """As `printf %b` of bash and zsh undoes it: no control character is ever sent."""
    return _ESCAPED.sub(lambda match: "\\\\" if match[0] == "\\" else f"\\0{ord(match[0]):03o}", text)


@dataclass(frozen=True, slots=True)
class AtPrompt:
    """What the shell tells before each prompt. `prompt` and `more`: PS1 and PS2 as they would be shown."""

    status: int
    folder: str
    prompt: str
    more: str
    expands: bool
    """`!` refers to the history."""
    vi: bool
    """The user's keys are those of vi."""


def at_prompt(payload: bytes) -> AtPrompt | None:
    """Read a mark `S`; None: it is none of ours."""
    parts = unquoted(payload).split(SEPARATOR)
    if len(parts) != 5 or not parts[0].isdigit():
        return None
    status, folder, prompt, more, flags = parts
    return AtPrompt(int(status), folder, prompt, more, "H" in flags, flags.endswith("-vi"))
