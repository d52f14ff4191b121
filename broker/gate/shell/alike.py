"""Where another shell reads a text apart from bash, whose reading the rest of the package follows.

What dash, zsh or fish could run besides, or instead, is named here.
"""

from __future__ import annotations

import re

from broker.gate.text import names

ZSH, FISH = "zsh", "fish"
_APART_ESCAPES = frozenset("xXuUc01234567abefnrtv\r")
"""After a backslash, fish takes these as a character code, the others as themselves."""
_ZSH_WORDS = names(
    """end repeat foreach nocorrect noglob - setopt unsetopt zmodload autoload emulate functions function
    select coproc"""
)
_FISH_WORDS = names("not switch functions function select coproc [[ setenv emulate")
"""`and`, `or`, `begin`, `end` and `set` are read: see `fragments`."""
_ANY_WORDS = _ZSH_WORDS | _FISH_WORDS | names("and or begin set")
_ZSH_SIGNS = r"&!|&\||>!|>>!|;\||<->|[0-9]{2,}[<>]|[<>]&-[^\s;&|<>)]|[0-9]\\\n[<>]"
_FISH_SIGNS = r"\[\[|\(\(|\{[^{}\s]*\}|(?<![\s;&|<>])&(?![&>\s]|\Z)|[<>]&-[^\s;&|<>)]"
_WORDS = {ZSH: _ZSH_WORDS, FISH: _FISH_WORDS}
_SIGNS = {
    ZSH: re.compile(_ZSH_SIGNS),
    FISH: re.compile(_FISH_SIGNS),
    "": re.compile(f"{_ZSH_SIGNS}|{_FISH_SIGNS}"),
}


def apart(text: str, shell: str = "") -> str | None:
    """Why the text is not read like bash reads it by that shell; None if it is. A shell that is none of zsh
    and fish: by any shell."""
    whom = f"by {shell} as by bash" if shell in _WORDS else "alike by all shells"
    bare, reason = _outside_quotes(text, shell)
    if reason is None:
        reason = _apart(bare, shell)
    return None if reason is None else f"{reason} is not read {whom}"


def _apart(bare: str, shell: str) -> str | None:
    match = _SIGNS.get(shell, _SIGNS[""]).search(bare)
    if match is not None:
        return match[0].strip()
    if shell != FISH and re.search(r"(?:\A|[\s;&|(])=\S|\$[=~^+:]|\$\{\(", bare):
        return "= or $ before such a sign"
    if re.search(r"(?<=[^\s\[;&|!(])\[[^\]\s\[]{0,200}(?:[\s;&|<>()]|\Z)", bare):
        return "a [ in a word"
    if "\r" in bare or "\v" in bare or "\f" in bare:
        return "a control character"
    return _first_word(bare, shell)


def _first_word(bare: str, shell: str) -> str | None:
    """A word at the beginning of a command that has another meaning there."""
    for piece in re.split(
        r"[\n;&|(){}]|(?<=\s)!(?=\s)|\b(?:then|do|else|elif|if|while|until|time|command|exec|builtin|eval)\s",
        bare,
    ):
        first = piece.split()[:1]
        if not first or first[0] not in _WORDS.get(shell, _ANY_WORDS):
            continue
        if first[0] == "set" and re.fullmatch(r"\s*set(?:\s+(?:-[euxv]+o?|pipefail|errexit|-o))*\s*", piece):
            continue
        return first[0]
    return None


def _outside_quotes(text: str, shell: str) -> tuple[str, str | None]:
    """The text without comments, with quoted parts as a neutral letter; and what in the quotes is apart."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            following = text[at + 1 : at + 2]
            if following in _APART_ESCAPES and following and shell != ZSH:
                return "", f"\\{following!r}".replace("'", "")
            if following == "\n" and text[at + 2 : at + 3] == "#":
                return "", "a broken line before #"
            out.append("\\\n" if following == "\n" else "q")
            at += 2
        elif char == "'":
            end = text.find("'", at + 1)
            if end < 0:
                return "".join(out), None
            if (
                shell != ZSH
                and "\\" in text[at + 1 : end]
                and (text[end - 1] == "\\" or "\\\\" in text[at + 1 : end])
            ):
                return "", "a backslash before a closing quote"
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
                return "", "a comment that ends in a backslash"
            at = end
        else:
            out.append(char)
            at += 1
    return "".join(out), None


def _double_end(text: str, at: int) -> int:
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at
