"""The server around the app: its socket, its life, its end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.demo.claim import claimed
from langchain_agentmem.demo.guards import Guard, is_loopback
from langchain_agentmem.demo.measuring import measured
from langchain_agentmem.demo.store import DemoStore
from langchain_agentmem.demo.turns import Answering
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

_GRACE_SECONDS = 2


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """A socket for the page, taken before anything that takes long is begun.

    Raises:
        ConfigurationError: Others could reach it without a token, or the address is not to be had.
    """
    if not is_loopback(host) and not token:
        raise ConfigurationError(
            f"--host {host} can be reached by others: it needs a token for the page to ask for: give --token"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{host}:{port} is not to be had: {error.strerror or error}. Choose another with --port."
        ) from error
    return listener


def address(listener: socket.socket) -> str:
    """Where a browser on this machine finds the page."""
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
    waiting: Callable[[], None],
    ready: Callable[[str], None],
    ended: Callable[[], None],
) -> None:
    """Serve the page until a signal ends it; open streams end within two seconds.

    Args:
        memory: What is shown.
        listener: From `listen`.
        host: What it was made with.
        token: What the page asks for, if anything.
        answering: What answers a turn.
        about: What else the page says about itself.
        reset: Empty the store first, whoever filled it.
        waiting: Called if another demo of this store may be running, which is then looked into.
        ready: Called, when the page can be opened, with what was done to the store.
        ended: Called when no more is served.

    Raises:
        MissingDependencyError: starlette or uvicorn is not installed.
        StoreInUseError: Another demo serves the store.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise MissingDependencyError(
            'The demo needs starlette and uvicorn: pip install "langchain-agentmem[demo]"'
        ) from error
    from langchain_agentmem.demo.app import create_app
    from langchain_agentmem.demo.endpoints import Endpoints

    own = measured(memory)
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(own.aclose)
        await at_the_end.enter_async_context(claimed(own, address(listener), waiting))
        at_the_end.callback(ended)
        store = DemoStore(own, may_empty=reset)
        done = await store.open()

        def guard(open_paths: Iterable[str]) -> Guard:
            return Guard(host, listener.getsockname()[1], token, frozenset(open_paths))

        def stopping() -> bool:
            return server.should_exit

        app = create_app(Endpoints(own, store, answering, about, stopping), guard)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        ready(done)
        await server.serve(sockets=[listener])
