"""What to send to a terminal so that it shows the next picture of the line, given the one it shows now.

Only relative movement is used: the line may stand anywhere on the screen, and scrolls with it.
"""

from __future__ import annotations

from broker.gate.strict.layout import Cell, Picture, Row


class Painter:
    """Knows what stands on the terminal since the line's first row was begun in column 0."""

    def __init__(self, cols: int, rows: int) -> None:
        self.cols, self.rows = cols, rows
        self._shown: Picture | None = None

    @property
    def drawn(self) -> bool:
        """Something of the line is on the screen."""
        return self._shown is not None

    def paint(self, picture: Picture) -> str:
        """From what is shown now; from an empty row, with the cursor in column 0, if nothing is."""
        new = _visible(picture, self.rows)
        old, self._shown = self._shown, new
        if old is None:
            return _written(new, (0, 0), None, self.cols) + _to(_end(new), new, self.cols)
        begin = _difference(old.rows, new.rows, self.cols)
        if begin is None:
            return _to((old.y, old.x), new, self.cols)
        return (
            _move((old.y, old.x), begin, self.cols)
            + _written(new, begin, old.rows, self.cols)
            + _to(_end(new), new, self.cols)
        )

    def end(self) -> str:
        """Behind the line, on a fresh row: it stays as it is."""
        shown, self._shown = self._shown, None
        if shown is None:
            return ""
        return _move((shown.y, shown.x), (len(shown.rows) - 1, shown.x), self.cols) + "\r\n"

    def erase(self) -> str:
        """The line is taken off the screen; the cursor is where it began."""
        shown, self._shown = self._shown, None
        return "" if shown is None else _move((shown.y, shown.x), (0, 0), self.cols) + "\x1b[J"

    def resized(self, cols: int, rows: int, picture: Picture) -> str:
        """As `erase`, for a terminal of another size. `picture`: what was shown, laid out for the new one.

        A terminal may have wrapped the line anew or cut it: the smaller way up is gone, so that nothing above
        the line is erased."""
        old, self._shown = self._shown, None
        self.cols, self.rows = cols, rows
        if old is None:
            return ""
        up = min(old.y, _visible(picture, rows).y)
        return "\r" + _move((up, 0), (0, 0), cols) + "\x1b[J"


def _visible(picture: Picture, height: int) -> Picture:
    """As many rows as the terminal has, the cursor's among them."""
    height = max(height, 1)
    if len(picture.rows) <= height:
        return picture
    top = min(max(0, picture.y - height + 1), len(picture.rows) - height)
    return picture._replace(rows=picture.rows[top : top + height], y=picture.y - top)


def _difference(old: list[Row], new: list[Row], cols: int) -> tuple[int, int] | None:
    """Row and column to write from; None: the same stands there already."""
    for y, row in enumerate(new):
        if y >= len(old):
            return y - 1, 0  # the row above it has to be ended in another way
        if row != old[y]:
            return y, _column(old[y].cells, row.cells, cols)
    return (len(new) - 1, 0) if len(old) > len(new) else None


def _column(old: list[Cell], new: list[Cell], cols: int) -> int:
    """Where two rows begin to differ; never behind the last column, where no cursor can be put."""
    at = before = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        before, at = at, at + one.width
    return at if at < cols else before


def _end(picture: Picture) -> tuple[int, int]:
    return len(picture.rows) - 1, picture.rows[-1].width


def _written(picture: Picture, begin: tuple[int, int], old: list[Row] | None, cols: int) -> str:
    """All from one place on; the cursor is there, and ends behind the last cell. What the old rows leave
    behind is erased; None: whatever stands there."""
    rows, (first, x) = picture.rows, begin
    out: list[str] = []
    for number in range(first, len(rows)):
        row, last = rows[number], number == len(rows) - 1
        out += _from(row, x if number == first else 0)
        if last:
            out.append(picture.tail)
        stale = old is None or number >= len(old) or old[number].width > row.width
        if stale and row.width < cols:  # behind the last column it would take the last cell
            out.append("\x1b[K")
        if last:
            break
        if not row.wraps:
            out.append("\r\n")
        elif not rows[number + 1].cells:
            out.append(" \r")  # makes the terminal wrap now, as it would with the next character
    if (old is None or len(old) > len(rows)) and rows[-1].width < cols:
        out.append("\x1b[J")
    return "".join(out)


def _from(row: Row, x: int) -> list[str]:
    at, out = 0, []
    for cell in row.cells:
        if at >= x:
            out.append(cell.before + cell.text)
        at += cell.width
    return out


def _to(now: tuple[int, int], picture: Picture, cols: int) -> str:
    return "" if now == (picture.y, picture.x) else _move(now, (picture.y, picture.x), cols)


def _move(now: tuple[int, int], to: tuple[int, int], cols: int) -> str:
    (y, x), (to_y, to_x) = now, to
    out = ""
    if y != to_y:
        out = f"\x1b[{y - to_y}A" if y > to_y else f"\x1b[{to_y - y}B"
    if x == to_x:
        return out
    if 0 < x - to_x <= 3 and x < cols:
        return out + "\b" * (x - to_x)
    if to_x == 0:
        return out + "\r"
    return out + "\r" + f"\x1b[{to_x}C"
