"""`ssh bastion VERB …`: the command line runs as a child that can only ask the control socket.

It gets a socket bound to the authenticated user and, where the broker is root, an unprivileged account.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shlex
import socket
import sys

from broker.model import exits
from broker.model.identity import Authenticated
from broker.relay.client import ClientSide
from broker.relay.portal import ServeControl
from broker.relay.session import tell

LONGEST = 60.0
LONGEST_WAITING = 3700.0
"""Of a verb that waits for a decision."""
WAITING = ("request", "requests")
SUBVERBS = {
    "sessions": frozenset({"ls", "kill"}),
    "recordings": frozenset({"ls", "cat", "verify"}),
    "requests": frozenset({"ls", "show", "wait", "cancel", "withdraw", "say", "notify"}),
    "approvals": frozenset({"ls"}),
}
"""What of a group of verbs only asks the control socket. The rest would read files of the bastion."""
CONTROL_FD = "BARTIZAN_CONTROL_FD"
RUN_AS = "BARTIZAN_RUN_AS"
"""`uid:gid` that the child changes to once its code is loaded, before it reads a word of the user's."""


class Verbs:
    """Runs the read-only verbs of the command line for a login. `user`: as `portal.user`."""

    def __init__(self, serve_control: ServeControl, user: str) -> None:
        self._serve_control = serve_control
        self._user = user

    async def run(self, who: Authenticated, client: ClientSide, line: str) -> int:
        """The verb's exit status; its output went to the client."""
        try:
            words = shlex.split(line)
        except ValueError as exc:
            tell(client, "E-USAGE", f"the command line cannot be read ({exc})", "")
            return exits.USAGE
        if not _possible(words):
            tell(client, "E-USAGE", f"{words[0]} {words[1]} is not possible over ssh", "")
            return exits.USAGE
        ours, theirs = socket.socketpair()
        control = self._serve_control(ours, who, None)
        with contextlib.closing(theirs):
            child = await self._start(words, client, theirs)
        try:
            async with asyncio.timeout(LONGEST_WAITING if words[0] in WAITING else LONGEST):
                await asyncio.gather(
                    _pass(child.stdout, client, stderr=False), _pass(child.stderr, client, stderr=True)
                )
                return await child.wait()
        except TimeoutError:
            tell(client, "E-TIME", "the command took too long", "")
            return exits.INTERNAL
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            control.cancel()

    async def _start(
        self, words: list[str], client: ClientSide, control: socket.socket
    ) -> asyncio.subprocess.Process:
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", CONTROL_FD: str(control.fileno())}
        if os.geteuid() == 0:
            account = pwd.getpwnam(self._user)
            env[RUN_AS] = f"{account.pw_uid}:{account.pw_gid}"
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "broker.cli",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[control.fileno()],
            env=env,
            cwd="/",
        )


def _possible(words: list[str]) -> bool:
    below = SUBVERBS.get(words[0])
    return below is None or len(words) == 1 or words[1] in below or words[1] in ("-h", "--help")


async def _pass(stream: asyncio.StreamReader | None, client: ClientSide, stderr: bool) -> None:
    assert stream is not None
    while data := await stream.read(1 << 15):
        if client.terminal is not None:
            data = data.replace(b"\n", b"\r\n")
        client.write(data, stderr)
