"""`bartizan-shell`: login shell and ForceCommand under a system sshd.

It hands the user's terminal or pipes to the broker, whose kernel-given peer credentials name the user, and
does nothing else. sshd passes what the client asked for in SSH_ORIGINAL_COMMAND (ForceCommand), or as
`-c COMMAND` where this is the account's login shell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from broker.wire.attached import attach

SOCKET = "/run/bartizan/control.sock"
USAGE = 64


def main() -> None:
    """Entry point."""
    try:
        command = requested(sys.argv[1:], os.environ)
    except ValueError as exc:
        print(f"bartizan-shell: {exc}", file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(attach(os.environ.get("BARTIZAN_SOCKET", SOCKET), command))


def requested(args: Sequence[str], env: Mapping[str, str]) -> str | None:
    """The client's command, None for a login. Raises ValueError for arguments sshd does not give.

    Where both a login shell and a ForceCommand name this program, sshd runs `SHELL -c FORCECOMMAND`: the
    client's own words are then only in the environment.
    """
    original = env.get("SSH_ORIGINAL_COMMAND")
    if not args or list(args) == ["-l"]:
        return original
    if args[0] != "-c" or len(args) != 2:
        raise ValueError("usage: bartizan-shell [-c COMMAND], as a login shell or ForceCommand")
    program = args[1].split()[0] if args[1].split() else ""
    return original if os.path.basename(program) == "bartizan-shell" else args[1]
