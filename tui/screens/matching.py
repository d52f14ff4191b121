"""Finding a target by typing: pure functions over what the broker listed.

A query is words; every word must match. `env:prod`, `acct:root`, `owner:dba`, `access:deny` look in one
field. Other words are looked for, best first, in the name, then in the other fields, as typed; a word's
letters in order count too (`dbprd` finds `db-prod-3`), but outside the name only where nothing else matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from broker.wire.messages import AccountView, TargetView

_SEPARATORS = "-_./@: "
EXACT, PREFIX, WORD, INSIDE, LETTERS, ELSEWHERE, FAINT = 100, 60, 40, 30, 15, 8, 1


@dataclass(frozen=True, slots=True)
class Row:
    """A target with the account that is shown for it, and its text in lower case, made once."""

    target: TargetView
    account: AccountView
    name: str = field(repr=False)
    rest: str = field(repr=False)
    """All other fields, one a line, so that a match never spans two."""
    searchable: dict[str, str] = field(repr=False)
    order: str = field(repr=False)
    """The name with its numbers padded: `db-2` comes before `db-10`."""


NO_ACCOUNT = AccountView("", "DENY", "no account is granted", "", "")


def row(target: TargetView, chosen: str = "") -> Row:
    """`chosen` is the account to show; else the first that is not denied, else the first."""
    accounts = target.accounts or [NO_ACCOUNT]
    account = next((a for a in accounts if a.name == chosen), None)
    account = account or next((a for a in accounts if a.state != "DENY"), accounts[0])
    names = " ".join(a.name for a in accounts).lower()
    tags = {key.lower(): value.lower() for key, value in target.tags.items()}
    fields = {
        **tags,
        "name": target.name.lower(),
        "addr": f"{target.address}:{target.port}".lower(),
        "acct": names,
        "note": target.note.lower(),
        "access": " ".join(a.state for a in accounts).lower(),
    }
    rest = "\n".join([fields["addr"], names, *tags.values(), fields["note"]])
    order = re.sub(r"\d+", lambda digits: digits.group().zfill(12), fields["name"])
    return Row(target, account, fields["name"], rest, fields, order)


_ALIASES = {"account": "acct", "address": "addr", "host": "addr", "state": "access"}


def search(rows: Sequence[Row], query: str) -> list[Row]:
    """The rows that match, best first; all of them, recent first, for an empty query."""
    words = query.lower().split()
    scored: list[tuple[int, Row]] = [(0, r) for r in rows]
    for word in words:
        scored = _narrow(scored, word)
    wanted = next((w.partition(":")[2] for w in reversed(words) if _field(w) == "acct"), "")
    ordered = sorted(scored, key=lambda pair: (-pair[0], *recency(pair[1])))
    return [_as_account(r, wanted) for _, r in ordered] if wanted else [r for _, r in ordered]


def recency(r: Row) -> tuple[int, str]:
    """Sort key: the last used first, then by name."""
    return -(r.target.last_at or 0), r.order


def _field(word: str) -> str:
    name, colon, value = word.partition(":")
    return _ALIASES.get(name, name) if colon and value and not name[:1].isdigit() else ""


def _as_account(r: Row, wanted: str) -> Row:
    """The same row, showing the account that the query asked for."""
    match = next((a for a in r.target.accounts if wanted in a.name.lower()), None)
    return r if match is None or match == r.account else row(r.target, match.name)


def _narrow(scored: list[tuple[int, Row]], word: str) -> list[tuple[int, Row]]:
    if name := _field(word):
        value = word.partition(":")[2]
        return [(score, r) for score, r in scored if value in r.searchable.get(name, "")]
    found = _keep(scored, _direct(word))
    return found or _keep(scored, _faint(word))


def _keep(scored: Iterable[tuple[int, Row]], judge: Callable[[Row], int]) -> list[tuple[int, Row]]:
    return [(score + points, r) for score, r in scored if (points := judge(r))]


def _direct(word: str) -> Callable[[Row], int]:
    letters = _in_order(word)

    def judge(r: Row) -> int:
        at = r.name.find(word)
        if at == 0:
            return EXACT if len(word) == len(r.name) else PREFIX
        if at > 0:
            return WORD if r.name[at - 1] in _SEPARATORS else INSIDE
        if word in r.rest:
            return ELSEWHERE
        match = letters.search(r.name)
        if match is None:
            return 0
        return max(ELSEWHERE + 1, LETTERS - (match.end() - match.start() - len(word)))

    return judge


def _faint(word: str) -> Callable[[Row], int]:
    letters = _in_order(word)
    return lambda r: FAINT if letters.search(r.rest) else 0


def _in_order(word: str) -> re.Pattern[str]:
    """The letters in order within one line. Each gap excludes the letter it ends at: no backtracking."""
    first, *others = (re.escape(char) for char in word)
    return re.compile(first + "".join(f"[^{char}\\n]*{char}" for char in others))
