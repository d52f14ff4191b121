"""History expansion, as bash does it before it reads a line: `!!`, `!$`, `^old^new^` (bash's manual, 9.3).

What is not worked out, or names no line that is known, raises Unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from broker.gate.text import Unreadable

MAX_EXPANDED = 64 * 1024
_EVENT = re.compile(
    r"!(?:(?P<last>!)|(?P<number>-?[0-9]+)|(?P<here>#)|\?(?P<within>[^?\n]+)\??|(?P<short>(?=[$^*:%-]))|(?P<begins>[^\s:;&|<>()\"'$^*%!=-][^\s:;&|<>()\"']*))"
)
_DESIGNATOR = re.compile(
    r":?(?P<one>[$^*%])(?P<to>-(?:[0-9]+|\$))?|:(?P<from>[0-9]+)?(?P<dash>-)?(?P<until>[0-9]+|\$)?(?P<star>\*)?|(?P<upto>-[0-9]+)"
)
_MODIFIER = re.compile(
    r":(?P<all>[gGa]+)?(?:(?P<plain>[htreqxp&])|s(?P<sign>[^\w\s])(?P<old>[^\n]*?)(?P=sign)(?P<new>[^\n]*?)(?:(?P=sign)|\Z|(?=\n)))"
)
_WORD = re.compile(r"[;&|<>()]+|(?:\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|[^\s;&|<>()\\'\"])+", re.DOTALL)


def expanded(line: str, history: Sequence[str], first: int | None = None) -> str:
    """The line with its references to earlier lines put in. `first`: the number of the oldest of them, where
    that is known."""
    if line.startswith("^"):
        old, _, rest = line[1:].partition("^")
        new, _, after = rest.partition("^")
        if not history or old not in history[-1]:
            raise Unreadable("it changes a line of the history that is not known")
        return history[-1].replace(old, new, 1) + after
    out: list[str] = []
    at, quoted = 0, False
    while at < len(line):
        char = line[at]
        if char == "\\":
            out.append(line[at : at + 2])
            at += 2
        elif char == "'" and not quoted:
            end = line.find("'", at + 1)
            end = len(line) - 1 if end < 0 else end
            out.append(line[at : end + 1])
            at = end + 1
        elif char == "!" and _begins(line, at, quoted):
            text, at = _reference(line, at, history, "".join(out), first)
            out.append(text)
            if sum(map(len, out)) > MAX_EXPANDED:
                raise Unreadable("the history makes it too long")
        else:
            quoted = quoted != (char == '"')
            out.append(char)
            at += 1
    return "".join(out)


def _begins(line: str, at: int, quoted: bool) -> bool:
    following = line[at + 1 : at + 2]
    if not following or following in " \t\n=(" or (quoted and following == '"'):
        return False
    return line[at - 1 : at] not in {"$", "{", "["} or at == 0


def _reference(line: str, at: int, history: Sequence[str], before: str, first: int | None) -> tuple[str, int]:
    match = _EVENT.match(line, at)
    if match is None:
        raise Unreadable("a reference to the history that is not read")
    event = _event(match, history, before, first)
    at = match.end()
    words = _WORD.findall(event)
    designator = _DESIGNATOR.match(line, at)
    if designator is not None and designator.end() > at and _is_designator(designator, line, at):
        words = _chosen(designator, words)
        event, at = " ".join(words), designator.end()
    while (modifier := _MODIFIER.match(line, at)) is not None:
        event, at = _modified(modifier, event), modifier.end()
    if re.match(r":[a-zA-Z&]", line[at:]):
        raise Unreadable("a change of the history that is not read")
    return event, at


def _is_designator(match: re.Match[str], line: str, at: int) -> bool:
    return not (match[0] == ":" or (line[at] == ":" and re.match(r":[a-zA-Z&]", line[at:])))


def _event(match: re.Match[str], history: Sequence[str], before: str, first: int | None) -> str:
    if match["here"]:
        return before
    if match["number"]:
        number = int(match["number"])
        place = len(history) + number if number < 0 else number - (first or 0)
        if (number > 0 and first is None) or not 0 <= place < len(history):
            raise Unreadable("a line of the history that is not known")
        return history[place]
    wanted, begins = match["within"], match["begins"]
    for text in reversed(history):
        if (
            (wanted is None and begins is None)
            or (wanted and wanted in text)
            or (begins and text.startswith(begins))
        ):
            return text
    raise Unreadable("a line of the history that is not known")


def _chosen(match: re.Match[str], words: list[str]) -> list[str]:
    last = len(words) - 1
    if match["one"] == "%":
        raise Unreadable("a word of the history that is not known")
    if match["one"] == "*":
        return words[1:]
    if match["one"]:
        start = last if match["one"] == "$" else 1
        end = start if not match["to"] else last if match["to"] == "-$" else int(match["to"][1:])
    elif match["upto"]:
        start, end = 0, int(match["upto"][1:])
    else:
        start = int(match["from"] or 0)
        end = start
        if match["star"]:
            end = last
            if not match["from"]:
                return words[1:]
        elif match["dash"]:
            until = match["until"]
            end = last - 1 if until is None else last if until == "$" else int(until)
        elif match["until"] == "$":
            start = end = last
    if not 0 <= start <= last or end > last:
        raise Unreadable("a word of the history that is not there")
    return words[start : end + 1]


def _modified(match: re.Match[str], text: str) -> str:
    plain = match["plain"]
    if plain == "p":
        return ""
    if plain in {"q", "x"}:
        return "'" + text.replace("'", "'\\''") + "'"
    if plain == "h":
        return text.rpartition("/")[0] or text
    if plain == "t":
        return text.rpartition("/")[2]
    if plain == "r":
        return re.sub(r"\.[^./]*\Z", "", text)
    if plain == "e":
        suffix = re.search(r"\.[^./]*\Z", text)
        return suffix[0] if suffix else ""
    if plain == "&" or not match["old"]:
        raise Unreadable("a change of the history that is not known")
    if match["old"] not in text:
        raise Unreadable("a change of the history that does not fit")
    new = match["new"].replace("\\&", "\0").replace("&", match["old"]).replace("\0", "&")
    if match["all"] and "a" not in match["all"] and "G" in match["all"]:
        raise Unreadable("a change of the history that is not read")
    return text.replace(match["old"], new, -1 if match["all"] else 1)
