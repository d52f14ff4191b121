"""Notifiers over HTTP: a signed webhook, and chats that take Slack's incoming webhooks.

Redirects are not followed and proxies of the environment not used: a message goes where the file says.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import httpx2
import msgspec

from broker.model.errors import Unavailable
from broker.model.notification import Delivery
from broker.model.secret import Secret

TIMEOUT = httpx2.Timeout(10.0)
SIGNATURE = "Bartizan-Signature"
"""`t=SECONDS,v1=HEX`: HMAC-SHA256 with the key over `SECONDS.BODY`."""


class Webhook:
    """A POST of the notice as JSON. `key` is asked for each time, so that a rotation applies at once."""

    def __init__(self, url: str, key: Callable[[], Secret]) -> None:
        self._url = url
        self._key = key

    async def send(self, delivery: Delivery) -> None:
        body = delivery.body.encode()
        seconds = str(int(time.time()))
        await _post(
            self._url,
            body,
            {
                SIGNATURE: f"t={seconds},v1={signature(self._key().reveal(), seconds, body)}",
                "Bartizan-Delivery": str(delivery.number),
                "Bartizan-Event": delivery.event.value,
            },
        )


def signature(key: bytes, seconds: str, body: bytes) -> str:
    """The hexadecimal part of the signature."""
    return hmac.new(key, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()


class Slack:
    """A message with the lines that decide. The address is the secret."""

    def __init__(self, url: Callable[[], Secret]) -> None:
        self._url = url

    async def send(self, delivery: Delivery) -> None:
        notice = msgspec.json.decode(delivery.body)
        url = self._url().reveal().decode("ascii", "replace").strip()
        await _post(url, msgspec.json.encode({"text": slack_text(notice)}), {})


def slack_text(notice: dict[str, Any]) -> str:
    """Slack's own markup; everything of requesters is escaped, so it is neither a link nor a mention."""
    lines = [f"*{_escaped(notice['title'])}*"]
    if notice.get("what"):
        lines.append(f"```{_escaped(str(notice['what'])).replace('```', '` ` `')[:2500]}```")
    lines += [f"{name}: {_escaped(str(notice[key]))}" for name, key in _LINES if notice.get(key)]
    if notice.get("event") in ("requested", "break-glass"):
        lines.append(f"`{_escaped(str(notice['approve']))}`")
    return "\n".join(lines)


_LINES = (("why", "reason"), ("rule", "rule"), ("needs", "needs"), ("by", "by"), ("comment", "comment"))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


async def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Raises Unavailable for anything but a 2xx; the address is not told: it may hold a secret."""
    headers = {"Content-Type": "application/json", "User-Agent": "bartizan", **headers}
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
            answer = await client.post(url, content=body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as exc:
        raise Unavailable(f"the hook does not answer ({type(exc).__name__})") from None
    if not 200 <= answer.status_code < 300:
        raise Unavailable(f"the hook answered {answer.status_code}")
