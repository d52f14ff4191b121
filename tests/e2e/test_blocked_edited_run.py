"""A line is blocked, brought back, edited, and runs: the screen is what the target alone would show, plus the
notice. The client is a real ssh in a tmux, once through the broker and once straight to the target."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.e2e.bastion import wait_until
from tests.e2e.shells import SHELLS, settle
from tests.world.accounts import Accounts
from tests.world.broker import Broker
from tests.world.keys import KeyPair
from tests.world.sshd import Sshd
from tests.world.tmux import Tmux

pytestmark = pytest.mark.root

POLICY = """\
version: 1
policies:
  - name: lab
    who: {users: [alice]}
    targets: {names: "*"}
    accounts: ["*"]
    channels: [shell]
    opaque: allow
    commands:
      - name: no-marker
        deny: {program: forbidden-marker}
        reason: the marker never runs here
"""
WORD = "forbidden-marker"
_BANNER = re.compile(r"● (bartizan .*, recorded S-\w+\.|straight)")
NOTICE = {
    80: [
        "■ BLOCKED  the marker never runs here (rule no-marker, lab.yaml:10). Nothing",
        "  sent.",
        "  Arrow up brings it back to edit.",
    ],
    40: [
        "■ BLOCKED  the marker never runs here",
        "  (rule no-marker, lab.yaml:10). Nothing",
        "  sent.",
        "  Arrow up brings it back to edit.",
    ],
}


@dataclass(frozen=True, slots=True)
class Situation:
    """`rows` and `columns` of the terminal; `rest`: what follows the refused word; `full`: the prompt is on
    the bottom row; `middle`: the cursor is not at the end of the line."""

    rows: int
    columns: int
    rest: str = " one two"
    full: bool = False
    middle: bool = False


LONG = " " + " ".join(f"word{number}" for number in range(30))
SITUATIONS = {
    "short": Situation(24, 80),
    "wrapped": Situation(24, 80, LONG, middle=True),
    "bottom": Situation(24, 80, LONG, full=True),
    "small": Situation(10, 40, " 世界" + LONG[:90], full=True, middle=True),
}


@pytest.fixture(scope="module")
def lab(
    world: Path, sshd: Sshd, accounts: Accounts, user_key: KeyPair, target_key: KeyPair
) -> Iterator[Broker]:
    """A broker with one rule, and a target with an account per shell."""
    broker = Broker(world / "lab")
    broker.target("lab", sshd, accounts=[settle(accounts, label).name for label in SHELLS])
    broker.policy("lab", POLICY)
    broker.cli("users", "add", "alice", "--key", f"{user_key.path}.pub")
    broker.cli("secrets", "add", "lab", "--kind", "private-key", "--file", str(target_key.path))
    yield broker.start()
    broker.dispose()


class Seat:
    """A person in front of a terminal of one shell."""

    def __init__(self, tmux: Tmux, argv: list[str], label: str, situation: Situation) -> None:
        self._tmux, self._label = tmux, label
        tmux.run(argv)
        tmux.wait_for(SHELLS[label].ready)
        self._banner = self._banner_rows()
        self.settle()
        self.prompt = self.rows()
        """What the shell shows before anything is typed."""
        if situation.full:
            self.type("seq 40")
            self.enter()

    def _banner_rows(self) -> int:
        text = ""
        for number, row in enumerate(self._all_rows(), 1):
            text += row
            if _BANNER.fullmatch(text):
                return number
        raise AssertionError(f"no banner: {self._all_rows()}")

    def _all_rows(self) -> list[str]:
        return self._tmux.screen(history=True).rstrip().split("\n")

    def rows(self) -> list[str]:
        """All rows below the banner, also those that scrolled away, down to the last that is not empty."""
        return self._all_rows()[self._banner :]

    @property
    def column(self) -> int:
        """Of the cursor."""
        return self._tmux.cursor()[1]

    # ------------------------------------------------------------ acting

    def type(self, text: str) -> None:
        self._act(lambda: self._tmux.type(text))

    def type_at(self, text: str, middle: bool) -> None:
        """Type it, and leave the cursor behind it or not."""
        self.type(text)
        if middle:
            self.home()

    def press(self, *keys: str) -> None:
        self._act(lambda: self._tmux.keys(*keys))

    def enter(self) -> None:
        """Enter, for a line that runs: until the next prompt stands there."""
        self.press("Enter")
        wait_until(lambda: self.rows()[-len(self.prompt) :] == self.prompt, "the prompt")

    def home(self) -> None:
        """To the beginning of the line, where the shell has such a key."""
        if self._label != "dash":
            self.press(*(("Escape", "0", "i") if SHELLS[self._label].vi else ("C-a",)))

    def replace_word(self, line: str, word: str, other: str) -> None:
        """Edit the line so that it begins with the other word."""
        if self._label == "dash":
            self.press("C-u")
            self.type(other + line.removeprefix(word))
            return
        self.home()
        self.press(*["DC" if SHELLS[self._label].vi else "C-d"] * len(word))
        self.type(other)

    def _act(self, action: Callable[[], None]) -> None:
        """Do it, and wait until it shows."""
        before = self._look()
        action()
        wait_until(lambda: self._look() != before, "any effect")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing changes on the screen any more."""
        seen: list[object] = []

        def quiet() -> bool:
            seen.append(self._look())
            return len(seen) > 4 and all(one == seen[-1] for one in seen[-4:])

        wait_until(quiet, "a quiet screen")

    def _look(self) -> object:
        return self._tmux.screen(), self._tmux.cursor()

    # ------------------------------------------------------------ looking

    def left_behind(self) -> list[str]:
        """The rows as they are when the line does not run, without the prompt that follows."""
        if not SHELLS[self._label].interrupts:
            return self.rows()
        self.press("C-c")
        return self.rows()[: -len(self.prompt)]

    def shows(self, rows: list[str]) -> None:
        """Wait until the rows are these."""
        found: list[str] = []

        def same() -> bool:
            found[:] = self.rows()
            return found == rows

        try:
            wait_until(same, "the screen", timeout=10)
        except AssertionError:
            differing = unified_diff(rows, found, "wanted", "found", n=30, lineterm="")
            raise AssertionError("\n".join(differing)) from None


@pytest.fixture
def sit(
    lab: Broker, sshd: Sshd, accounts: Accounts, user_key: KeyPair, make_tmux: Callable[..., Tmux]
) -> Callable[..., Seat]:
    """Open a terminal on a shell, through the broker or straight."""

    def open_seat(label: str, situation: Situation, *, direct: bool) -> Seat:
        name = settle(accounts, label).name
        server = sshd.client(user_key, login=name) if direct else lab.client(f"{name}+lab", user_key)
        tmux = make_tmux(size=(situation.rows, situation.columns))
        argv = server.argv(options=("-tt", "-e", "none"))
        # The broker begins with a row of its own; here one stands in for it.
        first = ["sh", "-c", 'echo "$0"; exec "$@"', "● straight"] if direct else []
        return Seat(tmux, [*first, *argv], label, situation)

    return open_seat


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("label", SHELLS)
def test_the_screen_is_the_targets_own_plus_the_notice(
    label: str, situation: str, sit: Callable[..., Seat]
) -> None:
    how = SITUATIONS[situation]
    line = WORD + how.rest

    def typed() -> tuple[Seat, list[str], list[str]]:
        """Straight to the target: the line is typed, and not run."""
        seat = sit(label, how, direct=True)
        seat.type_at(line, how.middle)
        return seat, seat.rows(), seat.left_behind()

    def ran() -> Seat:
        """Straight to the target: the line is typed, edited and run."""
        seat = sit(label, replace(how, full=False), direct=True)
        seat.type(line)
        seat.replace_word(line, WORD, "echo")
        seat.enter()
        return seat

    with ThreadPoolExecutor() as pool:
        references = pool.submit(typed), pool.submit(ran)
        seat = sit(label, how, direct=False)
        seat.type_at(line, how.middle)
        reference, standing, left = references[0].result()
        seat.shows(standing)
        told = left + NOTICE[how.columns]
        seat.press("Enter")
        seat.shows(told + reference.prompt)
        seat.press("Up")
        seat.replace_word(line, WORD, "echo")
        seat.enter()
        reference = references[1].result()
    seat.shows(told + reference.rows())
    assert seat.column == reference.column
