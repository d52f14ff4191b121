"""What simple programs print, where that follows from the line: `echo cmVib290 | base64 -d | sh`."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable

from broker.gate.text import known

_LIMIT = 64 * 1024
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|0?([0-7]{1,3})|([abefnrtv\\c]))")
_LETTERS = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
}


def echo_output(args: list[str]) -> str | None:
    """bash's echo. Without `-e`, a backslash is read by some shells and not by others."""
    newline, escapes = "\n", False
    while args and re.fullmatch(r"-[neE]+", args[0]):
        if "n" in args[0]:
            newline = ""
        escapes = escapes or "e" in args[0]
        args = args[1:]
    text = " ".join(args)
    if not known(text) and any(sign in text for sign in "\ufdd2\ufdd3"):
        return None
    if "\\" in text:
        return _escaped(text + newline) if escapes else None
    return text + newline


def _escaped(text: str) -> str | None:
    if "\\c" in text or "\\u" in text or "\\U" in text:
        return None

    def put(match: re.Match[str]) -> str:
        if match[3]:
            return _LETTERS.get(match[3], match[0])
        return chr((int(match[1], 16) if match[1] else int(match[2], 8)) % 256)

    return _ESCAPE.sub(put, text)


def printf_output(args: list[str]) -> str | None:
    """`printf FORMAT ARGUMENTS…`; None where a directive is not worked out."""
    if args[:1] == ["--"]:
        args = args[1:]
    if not args or not known(args[0]):
        return None
    template = _escaped(args[0])
    if template is None:
        return None
    values = args[1:]
    pieces = re.split(r"(%%|%[-+ #0-9.*]*[a-zA-Z(])", template)
    out: list[str] = []
    while True:
        used = 0
        for piece in pieces:
            if piece == "%%":
                out.append("%")
            elif len(piece) > 1 and piece.startswith("%"):
                if piece not in {"%s", "%b", "%d", "%c"}:
                    return None
                value = values[0] if values else ""
                values, used = values[1:], used + 1
                text = _escaped(value) if piece == "%b" else value[:1] if piece == "%c" else value
                if text is None:
                    return None
                out.append(text)
            else:
                out.append(piece)
        if not values or not used or sum(map(len, out)) > _LIMIT:
            text = "".join(out)
            return text if len(text) <= _LIMIT else None


def _decode(args: list[str], text: str) -> str | None:
    if not any(re.fullmatch(r"-[a-z]*[dD][a-z]*|--decode", arg) for arg in args):
        return base64.b64encode(text.encode()).decode() + "\n"
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _translate(args: list[str], text: str) -> str | None:
    if len(args) != 2 or args[0].startswith("-"):
        return None
    if args[0] == "A-Za-z" and args[1] == "N-ZA-Mn-za-m":
        return codecs.encode(text, "rot13")
    first, second = (_range(arg) for arg in args)
    if first is None or second is None or not second:
        return None
    second = second.ljust(len(first), second[-1])
    return text.translate(str.maketrans(first, second[: len(first)]))


def _range(text: str) -> str | None:
    if re.search(r"[\[\\]", text):
        return None
    return re.sub(
        r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))) if m[1] <= m[2] else "", text
    )


def _cat(args: list[str], text: str) -> str | None:
    return text if all(arg == "-" for arg in args) else None


def _lines(args: list[str], text: str, *, last: bool) -> str | None:
    """head and tail, by lines."""
    match = re.fullmatch(r"(?:-n|--lines=?)?\s*(?:-)?(\d+)", " ".join(args)) if args else None
    if args and match is None:
        return None
    count = int(match[1]) if match else 10
    lines = text.splitlines(keepends=True)
    return "".join((lines[-count:] if count else []) if last else lines[:count])


def _cut(args: list[str], text: str) -> str | None:
    """cut by characters, or by fields of one letter's distance."""
    joined = " ".join(args)
    match = re.fullmatch(r"-[cb]\s*(\d+)(-)?(\d+)?", joined)
    if match:
        start = int(match[1]) - 1
        end = int(match[3]) if match[3] else None if match[2] else start + 1
        return "".join(line[start:end] + "\n" for line in text.splitlines())
    match = re.fullmatch(r"(?:-d\s*(?P<sign>.) )?-f\s*(?P<field>\d+)(?: -d\s*(?P<behind>.))?", joined)
    if match is None:
        return None
    sign, field = match["sign"] or match["behind"] or "\t", int(match["field"]) - 1
    out = []
    for line in text.splitlines():
        parts = line.split(sign)
        out.append((line if len(parts) == 1 else parts[field] if field < len(parts) else "") + "\n")
    return "".join(out)


_PLAIN_PATTERN = re.compile(r"[\w \-/.,:;@=+'\"]*\Z")


def _sed(args: list[str], text: str) -> str | None:
    """`s/text/other/` where no sign of the pattern means more than itself, but for a dot, which may."""
    if args[:1] in (["-e"], ["-E"], ["-r"]):
        args = args[1:]
    match = (
        re.fullmatch(r"s(?P<sign>[^\w\s\\])(?P<old>.*?)(?P=sign)(?P<new>.*?)(?P=sign)(?P<all>g?)", args[0])
        if len(args) == 1
        else None
    )
    if match is None or not _PLAIN_PATTERN.match(match["old"]) or re.search(r"[&\\]", match["new"]):
        return None
    if "." in match["old"] or not match["old"]:
        return None
    count = -1 if match["all"] else 1
    return "".join(line.replace(match["old"], match["new"], count) for line in text.splitlines(keepends=True))


def _xxd(args: list[str], text: str) -> str | None:
    if "".join(arg.lstrip("-") for arg in args) not in {"rp", "pr", "rps", "r"}:
        return None
    try:
        return bytes.fromhex("".join(text.split())).decode()
    except ValueError:
        return None


def _openssl(args: list[str], text: str) -> str | None:
    words = set(args)
    if not words & {"base64", "-base64", "-a"} or "-d" not in words:
        return None
    return _decode(["-d"], text) if words <= {"base64", "enc", "-base64", "-a", "-d", "-A"} else None


def _dd(args: list[str], text: str) -> str | None:
    return text if all(re.match(r"(?:status|bs|ibs|obs)=", arg) for arg in args) else None


_PRINTS = re.compile(
    r"\s*(?:BEGIN\s*\{\s*)?(?:print|puts|say|echo|console\.log)\s*\(?\s*(['\"])(?P<text>(?:\\.|(?!\1).)*)\1\s*\)?\s*;?\s*\}?\s*\Z",
    re.DOTALL,
)
_CODE_OPTIONS = {"perl": "-e", "ruby": "-e", "python": "-c", "php": "-r", "node": "-e", "lua": "-e"}


def printed(name: str, args: list[str]) -> str | None:
    """What code that only prints one text prints; None for any other."""
    language = re.sub(r"[0-9.]+\Z", "", name)
    if language in {"awk", "gawk", "mawk"}:
        code = args[0] if len(args) == 1 else None
    else:
        option = _CODE_OPTIONS.get(language)
        code = args[1] if option is not None and len(args) == 2 and args[0] == option else None
    match = _PRINTS.match(code) if code is not None and known(code) else None
    if match is None:
        return None
    text = _escaped(match["text"])
    return None if text is None else text + ("" if language in {"perl", "php"} else "\n")


_FILTERS: dict[str, Callable[[list[str], str], str | None]] = {
    "cat": _cat,
    "base64": _decode,
    "rev": lambda args, text: "\n".join(line[::-1] for line in text.split("\n")) if not args else None,
    "tac": lambda args, text: "".join(reversed(text.splitlines(keepends=True))) if not args else None,
    "tee": lambda args, text: text,
    "tr": _translate,
    "head": lambda args, text: _lines(args, text, last=False),
    "tail": lambda args, text: _lines(args, text, last=True),
    "cut": _cut,
    "sed": _sed,
    "xxd": _xxd,
    "openssl": _openssl,
    "dd": _dd,
    "sort": lambda args, text: text if len(text.splitlines()) < 2 and not args else None,
    "uniq": lambda args, text: text if len(text.splitlines()) < 2 and not args else None,
}


def filtered(name: str, args: list[str], text: str | None) -> str | None:
    """What the program prints when it is given the text on its standard input; None if that is not known."""
    handler = _FILTERS.get(name)
    if handler is None or text is None or not known(text) or not all(map(known, args)):
        return None
    return handler(args, text) if len(text) <= _LIMIT else None
