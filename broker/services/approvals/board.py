"""Where changes of requests are told, to screens, waiting logins and held lines. On the event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from broker.model.requests import ApprovalRequest

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a request; `request` as it is now. `what`: as in `Note`."""

    request: ApprovalRequest
    what: str
    by: str


Listener = Callable[[Change], None]


class Board:
    """Every listener hears every change, once it is durable, in the order of the changes."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """From now on; the returned call ends it."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def tell(self, change: Change) -> None:
        for listener in list(self._listeners):
            try:
                listener(change)
            except Exception as exc:  # one screen's bug keeps nobody else from hearing of it
                log.error("board.listener-failed", request=change.request.id, exc_info=exc)
