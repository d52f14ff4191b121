"""What a line of another language would hand to a shell: REPLs, SQL clients, editors and pagers."""

from __future__ import annotations

import re

from broker.gate.lines.programs import names

_STRING = re.compile(r"'([^'\\]*(?:\\.[^'\\]*)*)'|\"([^\"\\]*(?:\\.[^\"\\]*)*)\"")
_META = re.compile(
    r"(?:\\!|^\s*[!.]?(?:system|shell|sh)\b|^\s*!|\bprogram\s+)\s*(.*)", re.IGNORECASE | re.DOTALL
)
_PROGRAMS = re.compile(
    r"(?:python|ipython|perl|ruby|irb|node|php|lua|psql|mysql|mariadb|sqlite|gdb|bc|ftp|sftp|R\Z|tclsh|scala|jshell|ghci)"
)


def reads_no_shell(line: str) -> bool:
    """True if the accepted line started something known to read a language of its own."""
    return any(_PROGRAMS.match(name) for name in names(line))


def handed_over(line: str) -> list[str]:
    """Texts in the line that a shell could run: string literals, what follows `\\!` or `system`."""
    found = [single or double for single, double in _STRING.findall(line)]
    if match := _META.search(line):
        found.append(match[1].rstrip(" ;"))
    return [text for text in found if text.strip()]


def screen_escape(row: str) -> str:
    """What a row of an editor or pager would hand to a shell: `:r !cmd`, `!cmd`, `|m cmd`, `:term cmd`."""
    if row[:1] not in (":", "!", "|"):
        return ""
    if row[:1] == "|":
        return row[2:].strip()
    head, bang, rest = row.partition("!")
    if bang:
        return rest.strip()
    word, _, rest = head.lstrip(":").strip().partition(" ")
    return rest.strip() if word.startswith("te") and "terminal".startswith(word) else ""
