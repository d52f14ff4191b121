"""Places for anchors: an append-only file, syslog, an HTTP server."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

from broker.config.schema import AnchorPlace as Settings
from broker.model.errors import Unavailable
from broker.ports import AnchorPlace

TIMEOUT = 10.0
_AUDIT_NOTICE = 13 * 8 + 5
"""Facility "log audit", severity "notice" (RFC 5424, 6.2.1)."""


def anchor_place(settings: Settings) -> AnchorPlace:
    """The place that the configuration names (exactly one of its keys is set)."""
    if settings.file is not None:
        return FileAnchor(settings.file)
    if settings.syslog is not None:
        return SyslogAnchor(settings.syslog)
    assert settings.http is not None, "checked by the configuration"
    return HttpAnchor(settings.http, settings.token_file)


class FileAnchor:
    """One seal a line. Put it on another host's disk, or `chattr +a` it, and never rotate it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"file:{path.absolute()}"

    def deliver(self, line: bytes) -> None:
        """On the disk on return. A line that a crash cut off before is ended first. Raises Unavailable."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(self._path, flags, 0o640)
            try:
                size = os.fstat(fd).st_size
                cut = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
                text = b"\n" * cut + line
                if os.write(fd, text) != len(text):
                    raise OSError("only a part of the line was written")
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as exc:
            raise Unavailable(f"{self._path}: {exc.strerror or exc}") from None


class SyslogAnchor:
    """A datagram (RFC 3164) to a socket such as /dev/log, or by UDP: sent, but nobody says it was kept."""

    def __init__(self, address: str) -> None:
        self.name = f"syslog:{address}"
        self._address = address

    def deliver(self, line: bytes) -> None:
        """Raises Unavailable if it cannot even be sent."""
        datagram = b"<%d>bartizan-anchor: %s" % (_AUDIT_NOTICE, line.strip())
        try:
            if self._address.startswith("/"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                    sock.settimeout(TIMEOUT)
                    sock.sendto(datagram, self._address)
                return
            host, _, port = self._address.rpartition(":")
            family, kind, proto, _, where = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_DGRAM
            )[0]
            with socket.socket(family, kind, proto) as sock:
                sock.sendto(datagram, where)
        except OSError as exc:
            raise Unavailable(f"syslog {self._address}: {exc.strerror or exc}") from None


class HttpAnchor:
    """A POST of the seal, as JSON. Any answer of 2xx counts as kept."""

    def __init__(self, url: str, token_file: Path | None = None) -> None:
        self.name = f"http:{url}"
        self._url = url
        self._token_file = token_file

    def deliver(self, line: bytes) -> None:
        """Raises Unavailable. Redirects are not followed: the token is for that server alone."""
        request = urllib.request.Request(self._url, line, self._headers(), method="POST")  # noqa: S310
        try:
            with _OPENER.open(request, timeout=TIMEOUT):
                return
        except urllib.error.HTTPError as exc:
            raise Unavailable(f"{self._url}: the server answers {exc.code}") from None
        except (OSError, ValueError) as exc:
            raise Unavailable(f"{self._url}: {getattr(exc, 'reason', None) or exc}") from None

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "bartizan"}
        if self._token_file is not None:
            try:
                token = self._token_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as exc:
                raise Unavailable(f"{self._token_file}: {exc}") from None
            headers["Authorization"] = f"Bearer {token}"
        return headers


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """None: the answer stays what it is, an error."""


_OPENER = urllib.request.build_opener(_NoRedirect)
