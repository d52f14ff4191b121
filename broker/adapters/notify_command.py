"""Notifiers that are programs of the bastion, and Apprise where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec

import msgspec

from broker.adapters.notify_mail import text
from broker.model.errors import InvalidConfig, Unavailable
from broker.model.notification import Delivery
from broker.model.secret import Secret

TIMEOUT = 20.0


class Command:
    """Runs a program with the notice as JSON on its standard input; exit status 0: it was taken."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv

    async def send(self, delivery: Delivery) -> None:
        env = {"PATH": os.defpath, "LANG": "C.UTF-8", "BARTIZAN_EVENT": delivery.event.value}
        try:
            child = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=env,
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            raise Unavailable(f"{self._argv[0]} cannot be run ({exc.strerror})") from None
        try:
            async with asyncio.timeout(TIMEOUT):
                _, errors = await child.communicate(delivery.body.encode())
        except TimeoutError:
            raise Unavailable(f"{self._argv[0]} did not end within {TIMEOUT:.0f} s") from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
        if child.returncode != 0:
            said = errors.decode("utf-8", "replace").strip()[-200:]
            raise Unavailable(f"{self._argv[0]} ended with status {child.returncode}: {said}")


class Apprise:
    """Everything that Apprise knows. `urls`: its addresses, one a line."""

    def __init__(self, urls: Callable[[], Secret]) -> None:
        """Raises InvalidConfig where it is not installed."""
        if find_spec("apprise") is None:
            text = "a notifier needs Apprise, which is not installed"
            raise InvalidConfig(text, hint="install bartizan with the extra apprise")
        self._urls = urls

    async def send(self, delivery: Delivery) -> None:
        notice = msgspec.json.decode(delivery.body)
        box = import_module("apprise").Apprise()
        added = [box.add(url) for url in self._urls().reveal().decode().split()]
        if not added or not all(added):
            raise Unavailable("an address of the notifier is none that Apprise knows")
        if not await box.async_notify(title=notice["title"], body=text(notice)):
            raise Unavailable("a service of Apprise did not take it")
