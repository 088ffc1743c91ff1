"""Serve the app: take a socket, open the store, run until a signal."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from langchain_agentmem import AgentMemory
from langchain_agentmem.demo.conversations import Answering
from langchain_agentmem.demo.listening import bound, is_loopback
from langchain_agentmem.demo.samples import Samples
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

try:
    import uvicorn

    from langchain_agentmem.demo.app import create_app
    from langchain_agentmem.demo.endpoints import Endpoints
    from langchain_agentmem.demo.security import Guard
except ImportError as error:
    raise MissingDependencyError(
        'The demo needs starlette and uvicorn: pip install "langchain-agentmem[demo]"'
    ) from error

_GRACE_SECONDS = 2


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket for the page, to be taken before anything that takes long is begun.

    Raises:
        ConfigurationError: Others could reach it without a token, or the server cannot bind to the address.
    """
    if not is_loopback(host) and not token:
        raise ConfigurationError(
            f"--host {host} can be reached by others: it needs a token for the page to ask for: give --token"
        )
    return bound(host, port)


def address(listener: socket.socket) -> str:
    """Return where a browser on this machine finds the page."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    memory: AgentMemory,
    listener: socket.socket,
    *,
    host: str,
    token: str | None,
    answering: Answering,
    about: dict[str, Any],
    reset: bool = False,
    may_reset: bool = False,
    ready: Callable[[str], None],
    ended: Callable[[], None],
) -> None:
    """Serve the page until a signal ends it; open streams end within two seconds.

    Several demos may serve one store.

    Args:
        memory: What is shown.
        listener: From `listen`.
        host: What it was made with.
        token: What the page asks for, if anything.
        answering: What answers an exchange.
        about: What else the page says about itself.
        reset: Remove everything of the samples' user first.
        may_reset: Whether the page may remove everything of a user.
        ready: Called, when the page can be opened, with what was done to the store.
        ended: Called when no more is served.

    Raises:
        ConfigurationError: The memory is on a database that cannot search by vectors.
    """
    if not memory.long_term.supports_vectors:
        raise ConfigurationError("The demo needs Redis with Search and JSON; a REST API will not do.")
    own = AgentMemory(settings=memory.settings, embeddings=memory.long_term.embeddings)
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(own.aclose)
        at_the_end.callback(ended)
        samples = Samples(own, may_reset=may_reset)
        done = await samples.open(reset=reset)
        server = _server(listener, host, token, partial(Endpoints, own, samples, answering, about))
        ready(done)
        await server.serve(sockets=[listener])


def _server(
    listener: socket.socket,
    host: str,
    token: str | None,
    endpoints: Callable[[Callable[[], bool]], Endpoints],
) -> uvicorn.Server:
    """Return a server of the page, whose endpoints are given what tells them that it is about to end."""

    def guard(open_paths: Iterable[str]) -> Guard:
        return Guard(host, listener.getsockname()[1], token, frozenset(open_paths))

    def stopping() -> bool:
        return server.should_exit

    config = uvicorn.Config(
        create_app(endpoints(stopping), guard),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    return server
