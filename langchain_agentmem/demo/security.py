"""Check requests before they are looked at, and give every answer the headers that protect the page.

The server listens on this machine, where any web page may send requests to it. A page of another origin
is known by its `Origin`; one whose name was made to point here (DNS rebinding) by its `Host`.
"""

from __future__ import annotations

import hmac
import io
import ipaddress
import socket
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 512 * 1024**2
UPLOAD = "/import"
_JSON = ("application/json", "Send JSON, as application/json.")
_FILE = ("application/octet-stream", "Send the file itself, as application/octet-stream.")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::", ""})


class RefusedError(Exception):
    """The request is not answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules of one server.

    Attributes:
        host: What it is bound to.
        port: What it listens on.
        token: What every request to the API must bring, if anything.
        open_paths: What is served without the token: the page, which asks for it.
    """

    host: str
    port: int
    token: str | None
    open_paths: Collection[str]

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Refuse a request that comes from elsewhere.

        Raises:
            RefusedError: With the status to answer.
        """
        name = headers.get("host", "")
        if not self._is_ours(name):
            raise RefusedError(421, "This server is not known by that name; open the address it printed.")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{name}", f"https://{name}"):
            raise RefusedError(403, "Requests from other sites are refused.")
        wanted, advice = _FILE if path == UPLOAD else _JSON
        if method == "POST" and headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
            raise RefusedError(415, advice)
        if self.token is not None and path not in self.open_paths:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(given.strip().encode("latin-1"), self.token.encode())
            if scheme.lower() != "bearer" or not same:
                raise RefusedError(401, "The token is missing or wrong: it is what --token was given.")

    def _is_ours(self, name: str) -> bool:
        try:
            parts = urlsplit(f"//{name}")
            host, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if self.host in _WILDCARDS:  # by whichever address, through whichever port; the token is asked for
            return host in _LOOPBACK or host == socket.gethostname().lower() or _is_address(host)
        return port == self.port and (host in _LOOPBACK or host == self.host.lower())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Guarded:
    """The app behind its guard."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if it may be asked."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            self._guard.check(scope["method"], scope["path"], Headers(scope=scope))
        except RefusedError as refusal:
            await JSONResponse({"error": str(refusal)}, refusal.status)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


async def body(request: Request) -> bytes:
    """Return the request's body.

    Raises:
        RefusedError: It is too long, whatever its headers say, or broke off.
    """
    read = io.BytesIO()
    await _receive(request, read, MAX_BODY_BYTES, f"The body has more than {MAX_BODY_BYTES:,} bytes.")
    return read.getvalue()


async def upload(request: Request) -> IO[bytes]:
    """Return the request's body as a file without a name, gone once it is closed or the process ends.

    Raises:
        RefusedError: It is too long, whatever its headers say, it broke off, or there is no room for it.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever reads it closes it
    try:
        too_long = f"The file has more than {MAX_UPLOAD_BYTES // 1024**2:,} MB: use agentmem import."
        await _receive(request, file, MAX_UPLOAD_BYTES, too_long)
        file.seek(0)
    except OSError as error:
        file.close()
        raise RefusedError(507, f"The server has no room for the file: {error.strerror}.") from error
    except BaseException:
        file.close()
        raise
    return file


async def _receive(request: Request, into: IO[bytes], limit: int, too_long: str) -> None:
    """Write the request's body into a file, as it comes."""
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise RefusedError(413, too_long)
            into.write(part)
    except ClientDisconnect as error:
        raise RefusedError(400, "The body broke off.") from error
