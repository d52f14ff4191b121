"""How verbs ask the running broker: over its control socket, or over the one it gave to this process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.commands.context import Context
from broker.config import load_config
from broker.model.errors import BartizanError, Unavailable
from broker.wire.client import AskFailed, Disconnected, WireClient
from broker.wire.messages import Ask, Body

INHERITED = "BARTIZAN_CONTROL_FD"
SOCKET = "BARTIZAN_SOCKET"

T = TypeVar("T", bound=Body)
R = TypeVar("R")


class AnsweredNo(BartizanError):
    """The broker's own failure, passed on with its code and exit status."""

    def __init__(self, exc: AskFailed) -> None:
        super().__init__(exc.failure.message, hint=exc.failure.hint)
        self.code = exc.failure.code
        self.exit_status = exc.failure.exit_status


def ask(context: Context, question: Ask, kind: type[T]) -> T:
    """The broker's answer.

    Raises:
        Unavailable: no broker answers. AnsweredNo: it refuses.
    """

    async def talk(client: WireClient) -> Body:
        return await client.ask(question)

    body = converse(context, talk)
    assert isinstance(body, kind)
    return body


def converse(context: Context, talk: Callable[[WireClient], Awaitable[R]]) -> R:
    """What `talk` returns; all it asks goes over one connection. Raises as `ask`."""
    try:
        return asyncio.run(_converse(context, talk))
    except AskFailed as exc:
        raise AnsweredNo(exc) from None
    except Disconnected as exc:
        raise Unavailable(str(exc), hint="is it running? bartizan serve; or set BARTIZAN_SOCKET") from None


async def _converse(context: Context, talk: Callable[[WireClient], Awaitable[R]]) -> R:
    client = await WireClient.connect(_where(context), "cli")
    try:
        return await talk(client)
    finally:
        await client.close()


def _where(context: Context) -> str | socket.socket:
    inherited = os.environ.get(INHERITED, "")
    if inherited.isdecimal():
        return socket.socket(fileno=int(inherited))
    return control_socket(context)


def control_socket(context: Context) -> str:
    """The path of the control socket: from the environment, else from the configuration."""
    return os.environ.get(SOCKET) or str(load_config(context.config_path).control.socket)
