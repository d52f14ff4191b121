"""Select Graphic Rendition, `CSI ... m`, to a style (ECMA-48 8.3.117, colours of ISO 8613-6) and back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from recorder.screen.cells import DEFAULT, PLAIN, RGB, Style

Params = tuple[tuple[int, ...], ...]
"""Parameters of a control sequence: each with its colon-separated parts; a missing number is 0."""

_CODES = {
    "bold": 1,
    "dim": 2,
    "italic": 3,
    "underline": 4,
    "blink": 5,
    "reverse": 7,
    "conceal": 8,
    "strike": 9,
}
_FLAGS: dict[int, dict[str, Any]] = {code: {name: True} for name, code in _CODES.items()} | {
    6: {"blink": True},
    21: {"underline": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    25: {"blink": False},
    27: {"reverse": False},
    28: {"conceal": False},
    29: {"strike": False},
}
_EXTENDED = {38: "fg", 48: "bg", 58: ""}


@lru_cache(maxsize=4096)
def restyle(style: Style, params: Params) -> Style:
    """`style` after `CSI params m`; what is unknown or out of range is ignored."""
    rest = iter(params or ((0,),))
    for part in rest:
        code = part[0]
        if code == 0:
            style = PLAIN
        elif code == 4:
            style = style._replace(underline=len(part) < 2 or part[1] != 0)
        elif code in _FLAGS:
            style = style._replace(**_FLAGS[code])
        elif code in _EXTENDED:
            style = _extended(style, _EXTENDED[code], part, rest)
        else:
            style = _palette(style, code)
    return style


def _palette(style: Style, code: int) -> Style:
    for first, name, base in ((30, "fg", 0), (40, "bg", 0), (90, "fg", 8), (100, "bg", 8)):
        if first <= code < first + 8:
            return _coloured(style, name, base + code - first)
    if code == 39:
        return style._replace(fg=DEFAULT)
    return style._replace(bg=DEFAULT) if code == 49 else style


def _extended(style: Style, name: str, part: tuple[int, ...], rest: Iterator[tuple[int, ...]]) -> Style:
    """38, 48, 58 in both spellings: `38:2::r:g:b`, `38:5:n` in one parameter, or `38;2;r;g;b`, `38;5;n`."""
    if len(part) > 1:
        space, values = part[1], part[2:]
        if space == 2 and len(values) > 3:
            values = values[1:]  # the colour space id
    else:
        space = next(rest, (0,))[0]
        values = tuple(next(rest, (256,))[0] for _ in range({2: 3, 5: 1}.get(space, 0)))
    colour = _colour(space, values)
    return _coloured(style, name, colour) if name and colour is not None else style


def _coloured(style: Style, name: str, colour: int) -> Style:
    return style._replace(fg=colour) if name == "fg" else style._replace(bg=colour)


def _colour(space: int, values: tuple[int, ...]) -> int | None:
    if any(value > 255 for value in values):
        return None
    if space == 5 and values:
        return values[0]
    if space == 2 and len(values) >= 3:
        return RGB | values[0] << 16 | values[1] << 8 | values[2]
    return None


def sgr(style: Style) -> str:
    """The sequence that selects exactly `style`."""
    codes = ["0", *(str(code) for name, code in _CODES.items() if getattr(style, name))]
    for colour, code in ((style.fg, 38), (style.bg, 48)):
        if colour >= RGB:
            codes.append(f"{code};2;{colour >> 16 & 255};{colour >> 8 & 255};{colour & 255}")
        elif colour != DEFAULT:
            codes.append(f"{code};5;{colour}")
    return f"\x1b[{';'.join(codes)}m"
