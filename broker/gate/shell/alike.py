"""Where shells read a text apart: needed when it is not known which one gets it (an account may use any).

The text is read as bash reads it; what dash, zsh or fish could run besides, or instead, is named here.
"""

from __future__ import annotations

import re

from broker.gate.text import names

_APART_ESCAPES = frozenset("xXuUc01234567abefnrtv\r")
"""After a backslash, fish takes these as a character code, the others as themselves."""
_FIRST_WORDS = names(
    """and or not begin end switch repeat foreach nocorrect noglob - setopt unsetopt zmodload autoload
    emulate functions function select coproc [[ set setenv"""
)
_OPERATOR = re.compile(
    r"&!|&\||>!|>>!|;\||<->|\[\[|\(\(|\{[^{}\s]*\}|(?<![\s;&|<>])&(?![&>\s]|\Z)|[0-9]{2,}[<>]|[<>]&-[^\s;&|<>)]|[0-9]\\\n[<>]"
)


def apart(text: str) -> str | None:
    """Why the text is not read alike by all shells; None if it is."""
    bare, reason = _outside_quotes(text)
    if reason is not None:
        return reason
    match = _OPERATOR.search(bare)
    if match is not None:
        return f"{match[0].strip()} is not read alike by all shells"
    if re.search(r"(?:\A|[\s;&|(])=\S|\$[=~^+:]|\$\{\(", bare):
        return "= or $ before such a sign is not read alike by all shells"
    if re.search(r"(?<=[^\s\[;&|!(])\[[^\]\s\[]{0,200}(?:[\s;&|<>()]|\Z)", bare):
        return "a [ in a word is not read alike by all shells"
    if "\r" in bare or "\v" in bare or "\f" in bare:
        return "a control character is not read alike by all shells"
    for piece in re.split(
        r"[\n;&|(){}]|(?<=\s)!(?=\s)|\b(?:then|do|else|elif|if|while|until|time|command|exec|builtin|eval)\s",
        bare,
    ):
        first = piece.split()[:1]
        if first and first[0] in _FIRST_WORDS:
            if first[0] == "set" and re.fullmatch(
                r"\s*set(?:\s+(?:-[euxv]+o?|pipefail|errexit|-o))*\s*", piece
            ):
                continue
            return f"{first[0]} is not read alike by all shells"
    return None


def _outside_quotes(text: str) -> tuple[str, str | None]:
    """The text with quoted parts as a neutral letter, and comments that an interactive zsh would run."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            following = text[at + 1 : at + 2]
            if following in _APART_ESCAPES and following:
                return "", f"\\{following!r} is not read alike by all shells".replace("'", "")
            if following == "\n" and text[at + 2 : at + 3] == "#":
                return "", "a broken line before # is not read alike by all shells"
            out.append("\\\n" if following == "\n" else "q")
            at += 2
        elif char == "'":
            end = text.find("'", at + 1)
            if end < 0:
                return "".join(out), None
            if "\\" in text[at + 1 : end] and (text[end - 1] == "\\" or "\\\\" in text[at + 1 : end]):
                return "", "a backslash before a closing quote is not read alike by all shells"
            out.append("q")
            at = end + 1
        elif char == '"':
            end = _double_end(text, at + 1)
            inner = text[at + 1 : end]
            out.append("q" + ("$" if "$" in inner else "") + ("`" if "`" in inner else ""))
            at = end + 1
        elif char == "#" and (not out or out[-1][-1:] in " \t\n;&|()"):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            if end < len(text) and text[at:end].endswith("\\"):
                return "", "a comment that ends in a backslash is not read alike by all shells"
            at = end
        else:
            out.append(char)
            at += 1
    return "".join(out), None


def _double_end(text: str, at: int) -> int:
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at
