"""Home folders whose shells all show the same short prompt and none of the machine's customs."""

from __future__ import annotations

from pathlib import Path

PROMPT = r"target\$"
"""What every furnished shell prints when it is ready, as a regular expression (a space follows)."""

_FILES = {
    ".profile": "PS1='target$ '\n",
    ".bashrc": "PS1='target$ '\n",
    ".zshrc": "PROMPT='target$ '\nRPROMPT=\n",  # without one, zsh starts its wizard
    ".config/fish/config.fish": "set -g fish_greeting\nfunction fish_prompt; echo -n 'target$ '; end\n",
    ".hushlogin": "",
}


def furnish(home: Path) -> Path:
    """Make `home` with start-up files for bash, dash, zsh and fish; returns it."""
    for name, content in _FILES.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return home
