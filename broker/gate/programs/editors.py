"""Commands of editors, pagers and other consoles that hand a text to a shell."""

from __future__ import annotations

import re

_BANG = re.compile(
    r"(?:\A|[|:;%$.,'0-9=\n]|\br(?:ead)?\s*|\bw(?:rite)?\s+|\be(?:dit)?\s+|\s)!(?![=<>])\s*(?P<v>[^\n]+)"
)
"""`!cmd`, `%!cmd`, `r !cmd`, `w !cmd`; not `q!`, `w!`, where it only insists."""
_WORD = re.compile(r"(?:\A|[|:\n])\s*(?:te(?:rm(?:inal)?)?|sh(?:ell)?)\b!?[ \t]*(?P<v>[^|\n]*)")
_CALL = re.compile(
    r"\b(?:system(?:list)?|os\.execute|os\.popen|io\.popen|termopen|jobstart)\s*\(\s*(['\"])(?P<v>.*?)\1"
)


def editor_commands(text: str) -> list[str]:
    """The texts that commands of vi, ex, ed, less and their kind give to a shell; an empty one is a shell for
    the person.

    >>> editor_commands("%!sort -u")
    ['sort -u']
    >>> editor_commands("wq!")
    []
    """
    found = [match["v"].strip() for match in _BANG.finditer(text)]
    found += [match["v"].strip() for match in _WORD.finditer(text)]
    return found + [match["v"] for match in _CALL.finditer(text)]


_CONSOLES: dict[str, str] = {
    "ed red": r"^[0-9,.$;%+\-]*(?:[rweE]\s+)?!\s*(?P<v>.+)",
    "gdb lldb": r"^\s*(?:!|shell\s|platform shell\s|(?:pipe|\|)\s.*?\|\s*)\s*(?P<v>.+)",
    "m4": r"\be?syscmd\s*\(\s*[`'\"]?(?P<v>[^)]*?)['\"]?\)",
    "pic eqn": r"^\s*sh\s+(?P<sign>\S)\s*(?P<v>.*?)\s*(?P=sign)",
    "troff groff nroff soelim": r"^[.']\s*(?:sy|pso|pi)\s+(?P<v>.+)",
    "gnuplot": r"^\s*(?:!|shell\b|system\s*\(?\s*['\"]?)\s*(?P<v>[^'\"]*)",
    "mail mailx mutt s-nail": r"^\s*(?:~?!|~\|)\s*(?P<v>.+)",
    "sqlplus": r"(?i)^\s*(?:!|host\b|ho\b)\s*(?P<v>.+)",
    "cqlsh": r"(?i)^\s*shell\s+(?P<v>.+)",
    "make gmake bmake": r"^\t[-@+]*(?P<v>.+)|\$[({]shell\s+(?P<v1>[^)}]+)",
    "tclsh wish expect jimsh": r"(?:^|[\[;])\s*(?:exec|spawn|open\s+\|)\s+(?:-\S+\s+)*(?P<v>[^\]\n]+)",
    "vim vi nvim ex view": r"(?!)",
}  # fmt: skip
_PATTERNS = {
    name: re.compile(text, re.MULTILINE) for group, text in _CONSOLES.items() for name in group.split()
}
_PLAIN_CONSOLE = re.compile(r"^\s*!\s*(?P<v>.+)", re.MULTILINE)


def console_commands(name: str, text: str) -> list[str]:
    """The texts that the program, reading `text` as its commands, gives to a shell."""
    if name in {"vim", "vi", "nvim", "ex", "view"}:
        return editor_commands(text)
    found: list[str] = []
    for match in _PATTERNS.get(name, _PLAIN_CONSOLE).finditer(text):
        groups = match.groupdict()
        found.append((groups.get("v") or groups.get("v1") or "").strip())
    return found
