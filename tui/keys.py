"""Every key of every screen in one table; bindings, footers and the help screen derive from it.

No function key, Alt or Ctrl chord is the only way to anything that has a second way to be offered, and
Ctrl-B, -A, -S, -Q, -Z and -\\ are left to multiplexers, terminals and screen readers.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding, BindingType


class Action(NamedTuple):
    """One thing a person can do. `keys` in Textual's names, the first is the one shown."""

    id: str
    keys: str
    action: str
    label: str
    """Words for the help screen."""
    hint: str = ""
    """Words for the footer; empty if it is not shown there."""
    where: str = ""
    """`filter` or `list` if the key only works there (the footer follows the focus)."""
    priority: bool = False


_MOVE = (
    Action("move.up", "up", "move(-1)", "one row up"),
    Action("move.down", "down", "move(1)", "one row down"),
    Action("move.page-up", "pageup", "page(-1)", "one page up"),
    Action("move.page-down", "pagedown", "page(1)", "one page down"),
    Action("move.vim-up", "k", "move(-1)", "one row up", where="list"),
    Action("move.vim-down", "j", "move(1)", "one row down", where="list"),
    Action("move.first", "g,home", "first", "first row", where="list"),
    Action("move.last", "G,end", "last", "last row", where="list"),
)

_FILTER = (
    Action("filter.start", "slash", "focus_filter", "go to the filter", "filter", "list"),
    Action("filter.leave", "tab", "toggle_focus", "to the list and back", "list", "filter", True),
    Action("filter.clear", "escape", "escape", "clear the filter, then leave it", "clear", "filter", True),
)

_TABS = (
    Action("go.connect", "1", "go('connect')", "Connect", where="list"),
    Action("go.requests", "2", "go('requests')", "your own requests", where="list"),
    Action("go.approvals", "3", "go('approvals')", "requests to decide", where="list"),
    Action("go.live", "4", "go('live')", "Live sessions", where="list"),
    Action("go.recordings", "5", "go('recordings')", "Recordings", where="list"),
)

_SCROLL = (
    Action("scroll.up", "up,k", "scroll_by(-1)", "one row up"),
    Action("scroll.down", "down,j", "scroll_by(1)", "one row down", "more"),
    Action("scroll.page-up", "pageup", "scroll_page(-1)", "one page up"),
    Action("scroll.page-down", "pagedown,space", "scroll_page(1)", "one page down"),
    Action("scroll.first", "home,g", "scroll_edge(False)", "to the top"),
    Action("scroll.last", "end,G", "scroll_edge(True)", "to the end"),
)

SCOPES: dict[str, tuple[Action, ...]] = {
    "app": (
        Action("app.help", "question_mark", "help", "keys of this screen", priority=True),
        Action("app.interrupt", "ctrl+c", "interrupt", "cancel; twice: log out", priority=True),
        Action("app.redraw", "ctrl+l", "redraw", "redraw and load again", priority=True),
    ),
    "connect": (
        Action("connect.open", "enter", "open", "open the selected target", "open"),
        *_FILTER,
        Action("connect.account", "a", "account", "choose another account", "account", "list"),
        Action("connect.copy", "y", "copy", "copy the ssh command", "copy ssh", "list"),
        Action("connect.cli", "exclamation_mark", "cli", "show the ssh command", "", "list"),
        Action("connect.replay", "r", "replay", "replay your last session", "replay", "list"),
        *_MOVE,
        *_TABS,
        Action("connect.logout-now", "ctrl+d", "log_out", "log out", "log out", "filter", priority=True),
        Action("connect.logout", "q", "log_out", "log out", "log out", "list"),
    ),
    "requests": (
        Action("requests.open", "enter", "open", "show the selected request", "show"),
        *_FILTER,
        Action("requests.cancel", "c", "cancel_request", "cancel the selected request", "cancel it", "list"),
        Action("requests.copy", "y", "copy", "copy the command that waits for it", "copy", "list"),
        Action("requests.cli", "exclamation_mark", "cli", "show the command that waits for it", "", "list"),
        *_MOVE,
        *_TABS,
        Action("requests.back", "q", "back", "back to Connect", "back", "list"),
    ),
    "approvals": (
        Action("approvals.open", "enter", "open", "look at the selected request", "look"),
        *_FILTER,
        Action("approvals.mark", "space", "mark", "mark it, to approve several of LOW risk", "mark", "list"),
        Action("approvals.approve", "a", "approve_marked", "approve all marked", "approve", "list"),
        Action("approvals.which", "f", "which", "to decide, decided, all", "others", "list"),
        Action("approvals.copy", "y", "copy", "copy the command that approves it", "copy", "list"),
        Action("approvals.cli", "exclamation_mark", "cli", "show the command that approves it", "", "list"),
        *_MOVE,
        *_TABS,
        Action("approvals.back", "q", "back", "back to Connect", "back", "list"),
    ),
    "decision": (
        Action("decision.approve", "a", "approve", "approve it", "approve"),
        Action("decision.deny", "d", "deny", "deny it, with a comment", "deny"),
        Action("decision.approve-for", "t", "approve_for", "approve it for a shorter time", "for a time"),
        Action("decision.say", "m", "talk", "ask or tell the others", "ask"),
        Action("decision.withdraw", "w", "withdraw", "take your approval back", "withdraw"),
        *_SCROLL,
        Action("decision.copy", "y", "copy", "copy the command that approves it"),
        Action("decision.cli", "exclamation_mark", "cli", "show the command that approves it"),
        Action("decision.back", "q,escape", "leave", "back", "back"),
    ),
    "wait": (
        Action("wait.open", "enter", "open", "open the session, once approved", "open"),
        Action("wait.say", "m", "talk", "tell those who decide", "message"),
        Action("wait.notify", "n", "notify_again", "notify them again", "notify again"),
        Action("wait.cancel", "c", "cancel_request", "cancel the request", "cancel it"),
        *_SCROLL,
        Action("wait.copy", "y", "copy", "copy the command that waits for it"),
        Action("wait.cli", "exclamation_mark", "cli", "show the command that waits for it"),
        Action("wait.leave", "q,escape", "leave", "leave it waiting", "leave"),
    ),
    "approve": (
        Action("approve.next", "enter", "next", "next line, then send", "send"),
        Action("approve.cancel", "escape", "cancel", "decide nothing", "cancel"),
    ),
    "recordings": (
        Action("recordings.play", "enter", "open", "play the selected recording", "play"),
        *_FILTER,
        Action("recordings.copy", "y", "copy", "copy the play command", "copy", "list"),
        Action("recordings.cli", "exclamation_mark", "cli", "show the play command", "", "list"),
        *_MOVE,
        *_TABS,
        Action("recordings.back", "q", "back", "back to Connect", "back", "list"),
    ),
    "live": (
        Action("live.end", "t", "terminate", "end the selected session (admins)", "terminate", "list"),
        *_FILTER,
        *_MOVE,
        *_TABS,
        Action("live.back", "q", "back", "back to Connect", "back", "list"),
    ),
    "replay": (
        Action("replay.play", "space", "play", "play or pause", "play"),
        Action("replay.back-5", "left,h", "skip(-5)", "5 seconds back", "5s"),
        Action("replay.on-5", "right", "skip(5)", "5 seconds on", "5s"),
        Action("replay.typed-back", "left_square_bracket", "typed(-1)", "previous command", ""),
        Action("replay.typed-on", "right_square_bracket", "typed(1)", "next command", "cmd"),
        Action("replay.event-back", "left_curly_bracket", "decided(-1)", "previous block, hold, mask …"),
        Action("replay.event-on", "right_curly_bracket", "decided(1)", "next block, hold, mask …", "jump"),
        Action("replay.find", "slash", "find", "find text that was shown", "find"),
        Action("replay.next", "n", "hit(1)", "next place where it was found"),
        Action("replay.previous", "N", "hit(-1)", "previous place where it was found"),
        Action("replay.list", "l", "list", "list of commands and decisions", "list"),
        Action("replay.list-up", "up,k", "list_move(-1)", "one row up in the list"),
        Action("replay.list-down", "down,j", "list_move(1)", "one row down in the list"),
        Action("replay.list-jump", "enter", "list_jump", "to the row of the list"),
        Action("replay.decisions", "d", "decisions", "in the list: decisions only, or all"),
        Action("replay.go-to", "colon", "go_to", "to a time, such as 6:41"),
        Action("replay.faster", "plus,equals_sign", "speed(1)", "faster", "fast"),
        Action("replay.slower", "minus", "speed(-1)", "slower"),
        Action("replay.idle", "i", "idle", "skip idle time or keep it"),
        Action("replay.back-60", "shift+left,H", "skip(-60)", "a minute back"),
        Action("replay.on-60", "shift+right,L", "skip(60)", "a minute on"),
        Action("replay.step-on", "full_stop", "step(1)", "one change on"),
        Action("replay.step-back", "comma", "step(-1)", "one change back"),
        Action("replay.full", "f", "full", "the picture alone, or with these rows"),
        Action("replay.start", "home,g", "edge(0)", "to the start"),
        Action("replay.end", "end,G", "edge(1)", "to the end"),
        *(Action(f"replay.tenth-{n}", str(n), f"tenth({n})", "to that tenth of it") for n in range(10)),
        Action("replay.leave", "q,escape", "leave", "back", "back"),
    ),
    "accounts": (
        Action("accounts.take", "enter", "take", "choose this account", "choose"),
        Action("accounts.up", "up,k", "move(-1)", "one row up"),
        Action("accounts.down", "down,j", "move(1)", "one row down"),
        Action("accounts.cancel", "escape,q,a", "cancel", "keep the account", "cancel"),
    ),
    "reason": (
        Action("reason.send", "enter", "send", "send it", "send"),
        Action("reason.cancel", "escape", "cancel", "do not open", "cancel"),
        Action("reason.last", "up", "last", "offer the last reason again", "last reason"),
    ),
    "help": (
        Action("help.up", "up,k", "move(-1)", "one row up"),
        Action("help.down", "down,j", "move(1)", "one row down", "more"),
        Action("help.page-up", "pageup", "page(-1)", "one page up"),
        Action("help.page-down", "pagedown,space", "page(1)", "one page down"),
        Action("help.close", "escape,q,enter", "close", "close the help", "close"),
    ),
    "field": (
        Action("field.left", "left", "cursor_left", "one character left"),
        Action("field.right", "right", "cursor_right", "one character right"),
        Action("field.start", "home", "home", "start of the line"),
        Action("field.end", "end", "end", "end of the line"),
        Action("field.delete-left", "backspace", "delete_left", "delete to the left"),
        Action("field.delete-right", "delete", "delete_right", "delete to the right"),
        Action("field.delete-word", "ctrl+w", "delete_left_word", "delete a word to the left"),
        Action("field.delete-all", "ctrl+u", "delete_left_all", "delete all to the left"),
    ),
}
"""`field` is any line of text that is typed in; its keys go before those of the screen."""

_SHOWN = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "question_mark": "?", "exclamation_mark": "!",
    "slash": "/", "escape": "Esc", "enter": "Enter", "tab": "Tab", "space": "Space", "pageup": "PgUp",
    "pagedown": "PgDn", "home": "Home", "end": "End", "backspace": "Backspace", "delete": "Del",
    "left_square_bracket": "[", "right_square_bracket": "]", "plus": "+", "minus": "-",
    "equals_sign": "=", "full_stop": ".", "comma": ",", "colon": ":", "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}  # fmt: skip

_WITHOUT_FIELD = frozenset({"replay", "accounts", "help", "decision", "wait"})
"""Scopes where nothing is typed in."""

HELP_HINT = "? help"
"""Always the last of a footer."""

_JOINED = {
    ("replay.back-5", "replay.on-5"): "←→ 5s",
    ("replay.typed-back", "replay.typed-on"): "[ ] cmd",
    ("replay.event-back", "replay.event-on"): "{ } jump",
    ("replay.faster", "replay.slower"): "+- speed",
}
"""Pairs that a footer shows as one."""


def shown(key: str) -> str:
    """The key as a person writes it: `ctrl+d` → `Ctrl-D`."""
    *modifiers, name = key.split("+")
    name = _SHOWN.get(name, name.upper() if modifiers else name)
    return "-".join([*(modifier.capitalize() for modifier in modifiers), name])


def bindings(scope: str) -> list[BindingType]:
    """The scope's bindings for a Textual class, each with its id, so that it can be rebound.

    Keys of a list go before the focused widget: Textual hands other keys from widget to widget up to the
    application, and what is typed right after `/` or Tab would arrive before they have taken effect. Enter
    and the arrows must not: they are about what the letters typed before them have found.
    """
    return [
        Binding(
            a.keys,
            a.action,
            a.label,
            show=False,
            priority=a.priority or a.where == "list" or scope in _WITHOUT_FIELD,
            id=a.id,
        )
        for a in SCOPES[scope]
    ]


def only_in_list(scope: str) -> frozenset[str]:
    """Names of actions that nothing may call while the filter is typed in."""
    names: dict[str, set[str]] = {}
    for action in SCOPES[scope]:
        names.setdefault(action.action.split("(")[0], set()).add(action.where)
    return frozenset(name for name, places in names.items() if places == {"list"})


def footer(scope: str, where: str, width: int, *, helped: bool = True) -> str:
    """The hints that fit, most used first; `? help` is always there and last where help exists (`helped`)."""
    hints: list[str] = []
    joined = {id: text for pair, text in _JOINED.items() for id in pair}
    for action in SCOPES[scope]:
        if not action.hint or action.where not in ("", where):
            continue
        text = joined.get(action.id, f"{shown(action.keys.split(',')[0])} {action.hint}")
        if text not in hints:
            hints.append(text)
    return _fit(hints, width, HELP_HINT if helped else "")


def _fit(hints: list[str], width: int, last: str) -> str:
    line = ""
    for hint in hints:
        if len(line) + len(hint) + len(last) + 2 <= width:
            line += f"{hint}  "
    return (line + last).rstrip()


class HelpRow(NamedTuple):
    """`keys` empty: a heading."""

    keys: str
    label: str


def help_rows(scope: str) -> list[HelpRow]:
    """Keys and what they do: of this screen, of its filter, of its list, and those that work everywhere."""
    actions = SCOPES[scope]
    parts = [
        ("On this screen", [a for a in actions if not a.where]),
        ("In the list (Tab)", [a for a in actions if a.where == "list"]),
        ("In the filter (/)", [a for a in actions if a.where == "filter"]),
        ("Everywhere", list(SCOPES["app"])),
        ("While typing", list(SCOPES["field"]) if any(a.where == "filter" for a in actions) else []),
    ]
    rows: list[HelpRow] = []
    for title, part in parts:
        if part:
            rows.append(HelpRow("", title))
            rows.extend(_labelled(part))
    return rows


def _labelled(actions: list[Action]) -> list[HelpRow]:
    """One row an action, several keys of the same effect joined: `↑ k  one row up`."""
    rows: dict[str, list[str]] = {}
    for action in actions:
        rows.setdefault(action.label, []).extend(shown(key) for key in action.keys.split(","))
    return [HelpRow(" ".join(keys), label) for label, keys in rows.items()]
