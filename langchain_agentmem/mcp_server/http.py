"""Serve clients over streamable HTTP, under `/mcp`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from langchain_agentmem.demo.listening import bound, is_loopback
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.mcp_server.server import ready
from langchain_agentmem.stop_signals import on_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.mcp_server.sdk import Server

_GRACE_SECONDS = 2
_REQUEST_SECONDS = 30  # in which all of a request has to arrive
_MOST_CONNECTIONS = 500


def listen(host: str, port: int, *, asks_for_tokens: bool) -> socket.socket:
    """Return a socket to serve from, to be taken before anything that takes long is begun.

    Args:
        host: The address.
        port: The port; 0 takes a free one.
        asks_for_tokens: Whether only those with a token are served.

    Raises:
        ConfigurationError: Others could reach it without a token, or the address cannot be had.
    """
    if not asks_for_tokens and not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} can be reached by others: it needs --tokens or --jwks, which say whose memory "
            "each of them may use."
        )
    return bound(host, port)


async def serve_http(
    server: Server,
    memory: AgentMemory,
    listener: socket.socket,
    *,
    asks_for_tokens: bool,
    serving: Callable[[str], object],
) -> None:
    """Serve until a signal comes; then close the memory.

    Args:
        server: From `build_server`.
        memory: Its memory.
        listener: From `listen`.
        asks_for_tokens: Whether the server has a verifier.
        serving: Called with the URL when the first request may come.
    """
    async with ready(memory):
        web = web_server(Guard(server.http_app(), any_host=asks_for_tokens))
        with on_signals(web.stop):
            serving(f"{_address(listener)}/mcp")
            await web.serve(sockets=[listener])


def web_server(app: ASGIApp) -> _Uvicorn:
    """Return a web server for an app. Beyond 500 connections at a time, it answers requests with 503."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return _Uvicorn(config)


class _Uvicorn(uvicorn.Server):
    """A server that leaves signals to us: its own way raises them again, before the memory is closed.

    It closes connections on which a request has not arrived whole in time, or none has begun. uvicorn itself
    would wait for ever.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._awaited: dict[Any, tuple[Any, float]] = {}

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second, and return whether to end."""
        if counter % 10 == 0:
            self._close_stalled()
        return await super().on_tick(counter)

    def _close_stalled(self) -> None:
        now = time.monotonic()
        before, self._awaited = self._awaited, {}
        for connection in list(self.server_state.connections):
            request = getattr(connection, "cycle", None)  # the last one whose headers have arrived
            if request is not None and not (request.response_complete or request.more_body):
                continue  # it is being answered
            last, since = before.get(connection, (None, now))
            self._awaited[connection] = (request, since if last is request else now)
            if now - self._awaited[connection][1] >= _REQUEST_SECONDS:
                connection.transport.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Finish what is being answered; at the second call, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


class Guard:
    """Refuses what pages of other sites send: by their `Origin`, and by the `Host` they were reached under.

    A page may send requests to this machine, under a name of its own that points here (DNS rebinding).

    Args:
        app: What is guarded.
        any_host: Whether it may be reached under any name, as behind a proxy: who asks has to show a token.
    """

    def __init__(self, app: ASGIApp, *, any_host: bool) -> None:
        self._app = app
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, if it may be asked."""
        if scope["type"] == "http" and (refusal := self._refusal(Headers(scope=scope))) is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._any_host and not is_loopback(_name(f"//{host}")):
            return PlainTextResponse("This server is for this machine: use http://127.0.0.1.", 421)
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return PlainTextResponse("Requests from pages of other sites are refused.", 403)
        return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
