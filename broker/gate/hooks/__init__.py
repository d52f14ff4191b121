"""What the gate types into a shell: so that the shell itself reports each line before it runs it (`hook.*`),
or so that its own line editor takes nothing but lines in a frame of the broker (`strict.*`).

Nothing is left on the target: no file, no variable in the environment, no word in an argument list. Each
script is text with three places to fill: `@N@` the session's nonce, `@L@` the level of the shell (1 for the
login shell, more for shells inside it), `@P@` a random part of every name it defines.
"""

from __future__ import annotations

import base64
import gzip
import re
from importlib.resources import files

SHELLS = ("bash", "zsh", "fish")
STRICT_SHELLS = ("bash", "zsh")
_COMMENT = re.compile(r"^[ \t]*#.*\n|^[ \t]+|^\n", re.MULTILINE)
_OLDEST_BASH = (4, 4)
_OLDEST_ZSH = (5, 0)
_OLDEST_FISH = (3, 4)


def _script(name: str) -> str:
    return _COMMENT.sub("", files(__name__).joinpath(name).read_text("utf-8"))


_SCRIPTS = {shell: _script(f"hook.{shell}") for shell in SHELLS}
_STRICT = {shell: _script(f"strict.{shell}") for shell in STRICT_SHELLS}


def probe(nonce: str, level: int, *, strict: bool = False) -> bytes:
    """A line that every shell from dash to fish understands; the answer is a mark with its versions.

    `strict`: and with the path of bash, if there is one.
    """
    more, word = (",%s", ' "$(command -v bash)"') if strict else ("", "")
    return (
        f" printf '\\033]5522;{nonce};{level};V;0;%s,%s,%s{more}\\007'"
        f' "$BASH_VERSION" "$ZSH_VERSION" "$FISH_VERSION"{word}\r'
    ).encode()


def shell_of(versions: bytes) -> str | None:
    """The shell to hook, from the answer to the probe; None: there is no hook for it."""
    parts = versions.decode("ascii", "replace").split(",")
    oldest = (_OLDEST_BASH, _OLDEST_ZSH, _OLDEST_FISH)
    for shell, text, least in zip(SHELLS, parts, oldest, strict=False):
        match = re.match(r"(\d+)\.(\d+)", text)
        if match and (int(match[1]), int(match[2])) >= least:
            return shell
    return None


def injection(shell: str, nonce: str, level: int, tag: str, *, strict: bool = False) -> bytes:
    """The lines that hook the shell; they begin with a blank so that histories can leave them out."""
    script = (
        (_STRICT if strict else _SCRIPTS)[shell]
        .replace("@N@", nonce)
        .replace("@L@", str(level))
        .replace("@P@", tag)
    )
    packed = base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()
    # zsh forgets a line that begins with a blank only when the next one has come.
    first, last = (" setopt hist_ignore_space\r", f" {tag}0\r") if shell == "zsh" else ("", "")
    return f'{first} eval "$(printf %s {packed} | base64 -d | gzip -d)"\r{last}'.encode()
