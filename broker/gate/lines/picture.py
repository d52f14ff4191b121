"""The line as the screen shows it: from a start that is trusted, or whole rows where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from broker.gate.lines.doings import Spot
from recorder.screen import Screen
from recorder.screen.sgr import sgr

MAX_ROWS = 60
_GHOST_COLOURS = frozenset({8, *range(236, 250)})


@dataclass(frozen=True, slots=True)
class Start:
    """Where typing began: the cursor at the first key, and what stood left and right of it on its row."""

    y: int
    x: int
    prompt: str
    right: str


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` None: the screen cannot be read, `why`. `rows`: the rows around the cursor as they are."""

    text: str | None
    rows: str
    why: str = ""


def start_of(screen: Screen) -> Start:
    """The start for a line whose first key is about to be sent."""
    cursor = screen.cursor
    columns = screen.columns(cursor.y)
    x = screen.cols if cursor.wraps else cursor.x
    aligned = any(text != " " for text in columns[-2:])  # a right prompt ends at the right edge
    return Start(cursor.y, x, "".join(columns[:x]), "".join(columns[x:]).strip() if aligned else "")


def read(screen: Screen, start: Start | None) -> Reading:
    """What stands between the start and the end of the line now."""
    rows = around_cursor(screen)
    why = _unreadable(screen)
    if why or start is None:
        return Reading(None, rows, why or "typing began at no known place")
    top = _find(screen, start)
    if top is None:
        return Reading(None, rows, "the place where typing began is not on the screen")
    return Reading(_text(screen, top, start), rows)


def around_cursor(screen: Screen) -> str:
    """The cursor's row with the rows it is joined to, wraps taken out."""
    return "".join(_row(screen, y) for y in _joined_rows(screen)).rstrip()


def behind(screen: Screen, prompt: str) -> str:
    """What stands behind the prompt on the cursor's row and those joined to it; empty: nothing, or another
    prompt stands there."""
    rows, bare = around_cursor(screen), prompt.rstrip()
    return rows[len(bare) :].strip() if bare and rows.startswith(bare) else ""


def is_at(screen: Screen, start: Start) -> bool:
    """True if the cursor stands right behind the prompt that the start had, with nothing after it."""
    columns, x = screen.columns(screen.cursor.y), screen.cursor.x
    after = "".join(columns[x:]).strip()
    return bool(start.prompt.strip()) and "".join(columns[:x]) == start.prompt and after in ("", start.right)


def cursor_row(screen: Screen) -> str:
    """The text of the row that the cursor is on."""
    return "".join(screen.columns(screen.cursor.y)).rstrip()


def spot(screen: Screen) -> Spot:
    """Where a notice about the line at the cursor goes."""
    if screen.alternate:
        return Spot(screen.cols, overlay=True)
    cursor = screen.cursor
    drawn = [y for y in range(cursor.y, screen.rows) if "".join(screen.columns(y)).strip()]
    return Spot(screen.cols, drawn[-1] - cursor.y if drawn else 0, bare=not drawn and cursor.x == 0)


def shown_rows(screen: Screen) -> tuple[str, ...]:
    """The rows of the screen down to the last that is not empty, blanks at their ends cut."""
    return tuple("\n".join(row.rstrip() for row in screen.display()).rstrip("\n").split("\n"))


def _joined_rows(screen: Screen) -> range:
    """The cursor's row with those it is joined to by wraps."""
    top = screen.cursor.y
    while top > 0 and screen.joined(top) and screen.cursor.y - top < MAX_ROWS:
        top -= 1
    return range(top, _last_joined(screen, screen.cursor.y) + 1)


def _last_joined(screen: Screen, y: int) -> int:
    while y + 1 < screen.rows and screen.joined(y + 1):
        y += 1
    return y


def _unreadable(screen: Screen) -> str:
    if not screen.mode(7):
        return "automatic wrapping is off"
    if screen.margins is not None and not screen.alternate:
        return "a scroll region is set"
    if screen.mode(4, private=False) or screen.mode(6):
        return "insert or origin mode is set"
    return ""


def _left(screen: Screen, y: int, x: int) -> str:
    return "".join(screen.columns(y)[:x])


def _find(screen: Screen, start: Start) -> int | None:
    """The row that the start is on now: the nearest, from the cursor up, with the prompt's text."""
    cursor = screen.cursor.y
    if not start.prompt.strip():
        top = cursor
        while top > 0 and screen.joined(top):
            top -= 1
        return top if start.x == 0 or _left(screen, top, start.x) == start.prompt else None
    for y in range(cursor, max(cursor - MAX_ROWS, -1), -1):
        if _left(screen, y, start.x) == start.prompt:
            return y
    return None


def _text(screen: Screen, top: int, start: Start) -> str:
    bottom = _last_joined(screen, max(screen.cursor.y, top))
    parts = [_first(screen, top, start)]
    for y in range(top + 1, bottom + 1):
        if not screen.joined(y) and not _full(screen, y - 1):
            parts.append("\n")
        parts.append(_row(screen, y))
    text = "".join(parts).rstrip()
    ghost = _ghost(screen, bottom)
    if ghost and text.endswith(ghost):
        text = text[: -len(ghost)]
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _first(screen: Screen, y: int, start: Start) -> str:
    columns = screen.columns(y)
    text = "".join(columns[start.x :])
    bare = text.rstrip()
    if start.right and bare.endswith(start.right):
        return bare[: -len(start.right)].rstrip()
    return text[:-1] if _padded(screen, y, columns) else text


def _row(screen: Screen, y: int) -> str:
    columns = screen.columns(y)
    text = "".join(columns)
    return text[:-1] if _padded(screen, y, columns) else text


def _padded(screen: Screen, y: int, columns: list[str]) -> bool:
    """True if the last column only fills the row: a wide character did not fit there."""
    if columns[-1] != " " or y + 1 >= screen.rows or not screen.joined(y + 1):
        return False
    below = screen.columns(y + 1)
    return len(below) > 1 and below[1] == ""


def _full(screen: Screen, y: int) -> bool:
    """True if the last column of the row is drawn: what stands below may go on."""
    return screen.columns(y)[-1] != " "


def _ghost(screen: Screen, bottom: int) -> str:
    """A suggestion that is shown but not typed: all that stands right of the cursor, in one dim colour."""
    cursor = screen.cursor
    if cursor.y != bottom:
        return ""
    at, found = 0, []
    for run in screen.cells(cursor.y):
        at += run.width
        if at > cursor.x and run.text.strip():
            found.append((run, at - run.width))
    if len(found) != 1 or found[0][1] < cursor.x:
        return ""
    run = found[0][0]
    return run.text.strip() if run.style.dim or run.style.fg in _GHOST_COLOURS else ""


def repaint(screen: Screen) -> bytes:
    """Bytes that draw the cursor's row again, on an empty row, and leave the cursor where it was in it."""
    return _painted(screen, screen.cursor.y) + f"\r{_right(screen.cursor.x)}".encode()


def repaint_line(screen: Screen) -> bytes:
    """As `repaint`, with all the rows that the line is wrapped over."""
    cursor, rows = screen.cursor, _joined_rows(screen)
    drawn = b"".join(_painted(screen, y, whole=y != rows[-1]) for y in rows)
    if cursor.wraps:
        return drawn
    up = rows[-1] - cursor.y
    return drawn + (f"\x1b[{up}A" if up else "").encode() + f"\r{_right(cursor.x)}".encode()


def last_row(screen: Screen) -> bytes:
    """Bytes that draw the last row again, wherever the cursor is."""
    return f"\x1b7\x1b[{screen.rows};1H\x1b[0m\x1b[2K".encode() + _painted(screen, screen.rows - 1) + b"\x1b8"


def _right(columns: int) -> str:
    return f"\x1b[{columns}C" if columns else ""


def _painted(screen: Screen, y: int, whole: bool = False) -> bytes:
    """`whole`: to the last column, so that what follows wraps."""
    parts = []
    runs = screen.cells(y)
    while not whole and runs and not runs[-1].text.strip() and runs[-1].style == type(runs[-1].style)():
        runs.pop()
    for run in runs:
        parts.append(sgr(run.style) + run.text)
    return ("".join(parts) + sgr(screen.style)).encode()
