"""Programs that read a language of their own, and what an editor or pager would hand to a shell."""

from __future__ import annotations

import re

from broker.gate.lines.programs import names

_PROGRAMS = re.compile(
    r"(?:python|ipython|perl|ruby|irb|node|php|lua|psql|mysql|mariadb|sqlite|gdb|bc|ftp|sftp|R\Z|tclsh|scala|jshell|ghci)"
)


def reads_no_shell(line: str) -> bool:
    """True if the accepted line started something known to read a language of its own."""
    return any(_PROGRAMS.match(name) for name in names(line))


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
