"""Waiting for an approval before a session, in plain lines: on a terminal with keys, else on stderr.

The request outlives the login that waits for it: who leaves comes back with `requests resume`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker.model import exits
from broker.model.errors import BartizanError
from broker.model.requests import ApprovalRequest, RequestState
from broker.relay.client import ClientSide, Window
from broker.relay.session import tell, voice_of
from broker.services.approvals.board import Change
from broker.services.approvals.service import ApprovalService
from broker.services.sessions import Refusal

SECOND = 1_000_000
LONGEST_WAIT = 24 * 3600
_WAIT = re.compile(r"([0-9]{1,6})(s|m|h)\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600}
LEAVE, CANCEL = "leave", "cancel"


def wait_of(env: dict[str, str]) -> int | None:
    """Seconds that a client asks to wait for: `LC_BARTIZAN_WAIT=10m`; None: it does not, or not so."""
    found = _WAIT.match(env.get("BARTIZAN_WAIT") or env.get("LC_BARTIZAN_WAIT") or "")
    return min(int(found[1]) * _UNITS[found[2]], LONGEST_WAIT) if found else None


def wants_break_glass(env: dict[str, str]) -> bool:
    """Whether the client asks to go past the approval: `LC_BARTIZAN_BREAK_GLASS=yes`."""
    return (env.get("BARTIZAN_BREAK_GLASS") or env.get("LC_BARTIZAN_BREAK_GLASS") or "") == "yes"


class _Keys:
    """While waiting: `c` cancels, `q` and Ctrl-C leave; other keys do nothing."""

    def __init__(self, client: ClientSide) -> None:
        self.pressed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        client.left.add_done_callback(lambda _: self._press(LEAVE))

    def client_bytes(self, data: bytes) -> None:
        for byte in data:
            if byte in b"qQ\x03\x04":
                self._press(LEAVE)
            elif byte in b"cC":
                self._press(CANCEL)

    def _press(self, what: str) -> None:
        if not self.pressed.done():
            self.pressed.set_result(what)

    def client_eof(self) -> None: ...

    def resized(self, window: Window) -> None: ...

    def signal_sent(self, name: str) -> None: ...

    def break_sent(self, msec: int) -> None: ...

    def request_refused(self, name: str, detail: str) -> None: ...

    def client_full(self) -> None: ...

    def client_ready(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Waits at the door. Answers with the request once it is approved, or why nothing opens."""

    approvals: ApprovalService

    async def until_approved(
        self, client: ClientSide, request: ApprovalRequest, seconds: int | None
    ) -> ApprovalRequest | Refusal:
        """`seconds`: how long at most, without a terminal; None: not at all there."""
        if request.pending and client.terminal is None and seconds is None:
            return still_waiting(request)
        if request.pending:
            request = await self._wait(client, request, seconds)
            if request.in_force:
                self._say(client, "approved", f"APPROVED {request.id}", _decided(request))
        return request if request.in_force else refusal_of(request)

    async def _wait(
        self, client: ClientSide, request: ApprovalRequest, seconds: int | None
    ) -> ApprovalRequest:
        keys = _Keys(client)
        self._say(client, "held", f"WAIT {request.id}", _asked(request, client.terminal is not None))
        stop = self.approvals.board.listen(self._listener(client, request))
        if client.terminal is not None:
            client.attach(keys)
        waiting = asyncio.get_running_loop().create_task(
            self.approvals.wait(request, float(seconds or LONGEST_WAIT)), name=f"wait-{request.id}"
        )
        try:
            first: set[asyncio.Future[Any]] = {waiting, keys.pressed}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return await waiting
            if keys.pressed.result() == CANCEL:
                return await self._cancel(request)
            return request
        finally:
            waiting.cancel()
            stop()
            if client.terminal is not None:
                client.attach(None)

    async def _cancel(self, request: ApprovalRequest) -> ApprovalRequest:
        try:
            return await self.approvals.cancel(request.id, request.matter.user, "while waiting")
        except BartizanError:  # it was decided in that moment
            return await asyncio.to_thread(self.approvals.get, request.id)

    def _listener(self, client: ClientSide, request: ApprovalRequest) -> Callable[[Change], None]:
        def heard(change: Change) -> None:
            if change.request.id != request.id or client.terminal is None:
                return
            if change.what == "seen":
                self._say(client, "held", f"WAIT {request.id}", f"opened by {change.by}.")
            elif change.what == "said" and change.by != request.matter.user:
                self._say(client, "held", f"WAIT {request.id}", f"{change.by} asks: bartizan requests show.")
            elif change.what == "voted" and change.request.pending:
                self._say(client, "held", f"WAIT {request.id}", f"{change.by} agreed; more have to.")

        return heard

    def _say(self, client: ClientSide, glyph: str, word: str, text: str) -> None:
        voice = voice_of(client)
        if not voice.terminal:
            word = f"E-WAITING {request_word(word)}" if glyph == "held" else word
            client.write(voice.say("held", word, text), stderr=True)
            return
        bell = b"\a" if glyph == "approved" else b""
        client.write(voice.say("live" if glyph == "approved" else "held", word, text) + bell)


def request_word(word: str) -> str:
    """The id in a state's word: `WAIT R-4F2` → `R-4F2`."""
    return word.rpartition(" ")[2]


def _asked(request: ApprovalRequest, terminal: bool) -> str:
    expires = request.matter.expires_at
    left = f", expires in {_minutes(expires - request.opened_at)}" if expires is not None else ""
    keys = " c cancels it, q leaves it waiting." if terminal else ""
    return f"needs {request.matter.terms.text}{left}.{keys}"


def _decided(request: ApprovalRequest) -> str:
    said = f' "{request.comment}"' if request.comment else ""
    return f"by {request.settled_by}{said}."


def _minutes(us: int) -> str:
    seconds = us // SECOND
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"


def still_waiting(request: ApprovalRequest) -> Refusal:
    """Nothing opens yet; how to come back."""
    text = f"{request.id} needs {request.matter.terms.text}"
    return Refusal(
        f"E-WAITING {request.id}", text, exits.WAITING, f"then: ssh bastion requests resume {request.id}"
    )


def refusal_of(request: ApprovalRequest) -> Refusal:
    """Why a request that is not in force opens nothing, with the exit status of its state."""
    id = request.id
    said = f': "{request.comment}"' if request.comment else ""
    match request.state:
        case RequestState.PENDING:
            return still_waiting(request)
        case RequestState.DENIED:
            return Refusal(f"E-DENIED {id}", f"denied by {request.settled_by}{said}", exits.DENIED)
        case RequestState.EXPIRED:
            return Refusal(f"E-EXPIRED {id}", "nobody decided in time", exits.WAITING, "ask again")
        case RequestState.CANCELLED:
            return Refusal(f"E-CANCELLED {id}", "cancelled", exits.CANCELLED)
        case RequestState.WITHDRAWN:
            return Refusal(f"E-DENIED {id}", f"taken back by {request.settled_by}{said}", exits.DENIED)
        case _:
            return Refusal(f"E-DENIED {id}", f"it is {request.state.value} already", exits.DENIED)


def refuse(client: ClientSide, refused: Refusal) -> None:
    """Say it and close the client's channel."""
    tell(client, refused.code, refused.message, refused.hint)
    client.exit(refused.exit_status)
