"""Escape soup: endless hostile terminal output that leans towards what real programs send.

Seeded, so that a failure can be played again: `Soup(seed).steps(size)`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

Resize = tuple[int, int]
"""Columns and rows, as a client may claim them."""

TEXTS = (
    "x", "ab c", "the quick brown fox ", "世界", "日本語", "e\u0301", "a\u200bb", "👨\u200d👩\u200d👧",
    "🇩🇪", "✔\ufe0f", "│─┌", "\u202e", "\u0301" * 12, "ｱ", "한글", "\u1100\u1161", "\ufffd", "\U0010ffff",
    "\u00ad", "\u2028", "नमस्ते",
)  # fmt: skip
NUMBERS = (
    "", "", "0", "1", "1", "2", "3", "5", "7", "20", "79", "80", "81", "255", "256", "65535", "65536",
    "999999999", "9" * 30, "4:3", "38:2::1:2:3", "48:5:300", ":", "38;5;9", "48;2;1;2;3",
)  # fmt: skip
FINALS = "@ABCDEFGHIJKLMPSTXZ`abcdefghlmnpqrstuvwxyz{|}~"
COMMON = "ABCDGHJKLMPX@STbdmr"
MODES = (1, 2, 3, 4, 5, 6, 7, 12, 20, 25, 47, 69, 1000, 1006, 1047, 1048, 1049, 2004, 2026, 99999)
CONTROLS = (
    "\r", "\n", "\r\n", "\r\n\n\n", "\t", "\x08", "\x08\x08", "\x0b", "\x0c", "\x0e", "\x0f", "\x07",
    "\x7f", "\x00", "\x18", "\x1a", "\x1b", "\x1b[", "\x1b[1;", "\x1b]", "\x84", "\x85", "\x88", "\x8d",
    "\x9b3A", "\x9b2J",
)  # fmt: skip
ESCAPES = (
    "\x1b7", "\x1b8", "\x1b7", "\x1b8", "\x1b[s", "\x1b[u", "\x1bM", "\x1bM", "\x1bD", "\x1bE", "\x1bH",
    "\x1bc", "\x1b#8", "\x1b#3", "\x1b(0", "\x1b(B", "\x1b(A", "\x1b)0", "\x1b*0", "\x1b=", "\x1b>",
    "\x1b F", "\x1b%G", "\x1b[!p", "\x1b[2J\x1b[H", "\x1b[K", "\x1b[?1049h\x1b[22;0;0t",
    "\x1b[?1049l\x1b[23;0;0t", "\x1b[3g", "\x1b[4h", "\x1b[4l", "\x1b[20h", "\x1b[20l", "\x1b[5n",
    "\x1b[6n", "\x1b[c", "\x1b[>c", "\x1b[?4m", "\x1b[>4;2m", "\x1b[1;24r", "\x1b[2;3r", "\x1b[r",
    "\x1b[?6h\x1b[2;5r", "\x1b[999;999H", "\x1b[80G世", "\x1b[1G\x1b[P",
)  # fmt: skip
STRINGS = (
    "\x1b]0;tié\x07", "\x1b]2;x", "\x1b]52;c;cm0=\x1b\\", "\x1b]8;;http://a/\x1b\\", "\x1b]4;1;?\x07",
    "\x1b]133;A\x07", "\x1b]5522;", "\x1bP1;q#0;2;0;0;0~~", "\x1bP+q544e\x1b\\",
    "\x1b_Gf=24;AAAA\x1b\\", "\x1b_", "\x1b^pm\x1b\\", "\x1bXsos", "\x1bkname\x1b\\", "\x1bk",
    "\x90abc\x9c", "\x9d0;t\x07", "\x9e",
)  # fmt: skip
LOG = (
    b"text ", b"\xe6\x97\xa5", b"\x1b[31m", b"\x1b[0;1m", b"\x1b[m", b"\x1b[K", b"\t", b"\r", b"\x08",
    b"\r\n", b"\r\n", b"\n",
)  # fmt: skip
CHUNKS = (1, 2, 3, 4, 5, 7, 11, 16, 31, 64, 250, 1000, 4096, 16384, 65536)


class Soup:
    """One stream. Its steps are output and changes of the window's size."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._pool = [self._piece() for _ in range(3000)]

    def size(self) -> Resize:
        """Of a window: mostly a usual one, at times one that no person would choose."""
        rng = self._rng
        usual = [(80, 24), (80, 24), (40, 10), (132, 43)]
        odd = [
            (1, 1),
            (1, 30),
            (200, 1),
            (2, 2),
            (0, 0),
            (-5, 70000),
            (rng.randint(1, 90), rng.randint(1, 50)),
        ]
        return rng.choice(usual if rng.random() < 0.6 else odd)

    def steps(self, size: int) -> Iterator[bytes | Resize]:
        """Output of `size` bytes in all, some with a resize between."""
        while size > 0:
            data = b"".join(self._rng.choices(self._pool, k=self._rng.randint(1, 400)))[:size]
            size -= len(data)
            yield data
            yield from self._between()

    def _between(self) -> Iterator[bytes | Resize]:
        """Nothing, a resize, a log that scrolls by, or lesson 7: save the cursor, shrink to nothing, restore
        the cursor, grow again."""
        match self._rng.randrange(8):
            case 0:
                yield self.size()
            case 1:
                yield b"\x1b[999;999H" + self._rng.choice(
                    [b"\x1b7", b"\x1b[s", b"\x1b[?1048h", b"\x1b[?1049h"]
                )
                yield (1, 1)
                yield self._rng.choice(
                    [b"\x1b8", b"\x1b[u", b"\x1b[?1048l", b"\x1b[?1049l", b"\x1b8\xe4\xb8\x96"]
                )
                yield self.size()
            case 2:
                yield b"".join(self._rng.choices(LOG, k=4000))

    def _piece(self) -> bytes:
        rng = self._rng
        roll = rng.random()
        if roll < 0.3:
            return rng.choice(TEXTS).encode() * rng.choice([1, 1, 1, 2, 5, 30])
        if roll < 0.45:
            return rng.choice(CONTROLS).encode()
        if roll < 0.75:
            return self._csi().encode()
        if roll < 0.87:
            return rng.choice(ESCAPES).encode()
        if roll < 0.94:
            return rng.choice(STRINGS).encode()
        return rng.randbytes(rng.randint(1, 8))

    def _csi(self) -> str:
        rng = self._rng
        if rng.random() < 0.2:
            return f"\x1b[?{rng.choice(MODES)}{rng.choice('hhlrs')}"
        numbers = ";".join(rng.choices(NUMBERS, k=rng.choice([0, 1, 1, 2, 2, 3, 40])))
        prefix = rng.choice(["", "", "", "", "", "?", ">", "<", "="])
        middle = rng.choice(["", "", "", "", "", "", " ", "!", "$", "'"])
        return f"\x1b[{prefix}{numbers}{middle}{rng.choice(FINALS if rng.random() < 0.3 else COMMON)}"


def pieces(data: bytes, chunk: int) -> Iterator[bytes]:
    """The data, cut every `chunk` bytes."""
    return (data[at : at + chunk] for at in range(0, len(data), chunk))
