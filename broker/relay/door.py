"""The door of a login: one request after another goes to the picker, to a target, to a verb, or nowhere.

The same for every way in, so that what is allowed does not depend on how one came (lesson 8).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import structlog

from broker.model import exits
from broker.model.access import Grant
from broker.model.errors import BartizanError
from broker.model.identity import Authenticated
from broker.model.requests import ApprovalRequest
from broker.relay.client import ClientSide
from broker.relay.portal import Portal
from broker.relay.prompt import ask_line
from broker.relay.session import Outcome, Sessions, tell
from broker.relay.verbs import Verbs
from broker.relay.waiting import Waiting, refusal_of, refuse, wait_of, wants_break_glass
from broker.services.approvals.asking import Asking, Need
from broker.services.approvals.lookup import Lookup
from broker.services.approvals.refusing import unknown as unknown_request
from broker.services.route import Asked, Nowhere, ToPicker, ToReplay, ToResume, ToTarget, ToVerb, route
from broker.services.sessions import Refusal, SessionService, Wish, resumed

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Door:
    """Serves one request of one login."""

    sessions: Sessions
    service: SessionService
    portal: Portal
    verbs: Verbs
    asking: Asking
    waiting: Waiting
    lookup: Lookup

    async def serve(self, who: Authenticated, client: ClientSide, asked: Asked) -> None:
        """Do what was asked and close the client's channel with its exit status; never raises."""
        try:
            await self._go(who, client, asked)
        except BartizanError as exc:
            tell(client, exc.code, exc.message, exc.hint)
            client.exit(exc.exit_status)
        except Exception as exc:
            log.error("door.failed", user=who.principal.name, error=repr(exc), exc_info=exc)
            tell(client, "E-INTERNAL", "an error in the broker ended this login", "")
            client.exit(exits.INTERNAL)

    async def _go(self, who: Authenticated, client: ClientSide, asked: Asked) -> None:
        match route(asked, who.principal.name, lambda name: self.service.sees(who, name)):
            case ToTarget() as to:
                await self._to_target(who, client, to)
            case ToPicker():
                await self._pick(who, client)
            case ToResume(id):
                await self._resume(who, client, id)
            case ToReplay(id):
                await self._replay(who, client, id)
            case ToVerb(line):
                client.exit(await self.verbs.run(who, client, line))
            case Nowhere(word):
                refuse(client, await self.service.nowhere(who, word))

    async def _to_target(self, who: Authenticated, client: ClientSide, to: ToTarget) -> None:
        glass = wants_break_glass(client.env)
        wish = Wish(to.target, to.account, to.channel, client.reason, to.command, glass)
        granted = await self.service.authorize(who, wish)
        if isinstance(granted, Refusal) and granted.code == "E-REASON" and client.terminal is not None:
            reason = await ask_line(client, f"Reason to open {to.target}: ")
            if reason is None:
                client.exit(exits.CANCELLED)
                return
            wish = replace(wish, reason=reason)
            granted = await self.service.authorize(who, wish)
        if isinstance(granted, Need):
            granted = await self._once_approved(who, client, wish, await self.asking.ask(granted))
        if isinstance(granted, Refusal):
            refuse(client, granted)
            return
        _leave(client, await self.sessions.run(granted, client))

    async def _once_approved(
        self, who: Authenticated, client: ClientSide, wish: Wish, request: ApprovalRequest
    ) -> Grant | Refusal:
        """Wait, and ask again: what was approved is still judged by the policies of that moment."""
        found = await self.waiting.until_approved(client, request, wait_of(client.env))
        if isinstance(found, Refusal):
            return found
        granted = await self.service.authorize(who, wish)
        return refusal_of(found) if isinstance(granted, Need) else granted

    async def _resume(self, who: Authenticated, client: ClientSide, id: str) -> None:
        """Open what a request of this user was for, waiting for it where that is asked for."""
        request = await asyncio.to_thread(self.lookup.find, id, who.principal.name)
        if request.matter.user != who.principal.name:
            raise unknown_request(id)
        granted = await self._once_approved(who, client, resumed(request), request)
        if isinstance(granted, Refusal):
            refuse(client, granted)
            return
        _leave(client, await self.sessions.run(granted, client))

    async def _replay(self, who: Authenticated, client: ClientSide, id: str) -> None:
        if client.terminal is None:
            refuse(client, Refusal("E-USAGE", "a replay needs a terminal", exits.USAGE, "ssh -t"))
            return
        await self.portal.run(who, client, {"play": id})
        client.exit(exits.OK)

    async def _pick(self, who: Authenticated, client: ClientSide) -> None:
        """Picker, session, picker … until the user logs out."""
        state: dict[str, Any] = {}
        client.lasting = True
        while not client.gone:
            choice = await self.portal.run(who, client, state)
            if choice is None:
                break
            state = _came_back(choice.grant, await self.sessions.run(choice.grant, client))
        client.exit(exits.OK)


def _came_back(grant: Grant, outcome: Outcome) -> dict[str, Any]:
    """What the next picker shows of the session that it comes back from."""
    return {
        "session": outcome.session,
        "target": grant.target.name,
        "account": grant.account,
        "status": outcome.close.status,
        "end": outcome.close.reason,
        "reason": grant.reason,
        "error": outcome.error,
    }


def _leave(client: ClientSide, outcome: Outcome) -> None:
    close = outcome.close
    if close.signal:
        client.exit_with_signal(close.signal, close.core_dumped, close.message)
    else:
        client.exit(close.status)
