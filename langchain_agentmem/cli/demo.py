"""`agentmem demo`: its options, and what the page is served from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli.failures import INTERRUPTED, CommandError
from langchain_agentmem.cli.options import warned_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.cli.console import Screen
    from langchain_agentmem.demo.exchanges import Answering

_LAST_SECONDS = 3.0
_MAX_SECONDS = 2**31 - 1

HELP = """Watch the memory work: a page that shows the three tiers live.

Serves http://127.0.0.1:8086 until Ctrl-C. Without --redis, a private Redis of the demo's own. An empty store
is filled with a few sample memories; what an earlier demo left is kept, and --reset empties the store first,
whoever wrote what is in it. A store that another demo serves is refused.

\b
  agentmem demo --open                           in your browser, nothing to set up
  agentmem demo --redis redis://localhost:6379   look at a store of yours
  agentmem demo --model openai:gpt-5-mini        a real model answers; see agentmem chat --help
  AGENTMEM_DEMO_TOKEN=… agentmem demo --host 0.0.0.0
                                                 for others too; the page asks for the token"""


def demo(
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            envvar="AGENTMEM_DEMO_URL",
            callback=warned_of("AGENTMEM_DEMO_URL"),
            help="Where the memory is. Without it: a private Redis for the demo alone. Set the "
            "variable for a URL with a password: other users of the machine can read a command line.",
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8086,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    reset: Annotated[
        bool, typer.Option("--reset", help="Empty the store first, of all memories, sessions and events.")
    ] = False,
    session_ttl_seconds: Annotated[
        int | None,
        typer.Option(
            "--session-ttl-seconds",
            min=1,
            max=_MAX_SECONDS,
            metavar="SECONDS",
            help="How long a session lives.",
        ),
    ] = None,
    dedup_threshold: Annotated[
        float | None,
        typer.Option(
            "--dedup-threshold",
            min=0,
            max=2,
            metavar="DISTANCE",
            help="Up to this a memory is known already. Without it: AGENTMEM_DEDUP_THRESHOLD, else 0.20.",
        ),
    ] = None,
    recall_threshold: Annotated[
        float | None,
        typer.Option(
            "--recall-threshold",
            min=0,
            max=1,
            metavar="DISTANCE",
            help="The farthest that is recalled. Without it: AGENTMEM_RECALL_THRESHOLD, else 0.55.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="PROVIDER:NAME", help="The model that answers.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="SECRET",
            envvar="AGENTMEM_DEMO_TOKEN",
            callback=warned_of("AGENTMEM_DEMO_TOKEN"),
            help="What the page asks for before it shows anything. Set the variable rather: other "
            "users of the machine can read a command line.",
        ),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Run `agentmem demo`."""
    import asyncio

    from langchain_agentmem.cli.connect import Steps, open_memory
    from langchain_agentmem.cli.console import Screen
    from langchain_agentmem.demo.claim import look
    from langchain_agentmem.demo.server import address, listen
    from langchain_agentmem.transport.urls import is_rest

    if token == "":
        raise typer.BadParameter("--token must not be empty.")
    if redis is not None and is_rest(redis):
        raise CommandError("The demo needs Redis with Search and JSON; a REST API will not do.")
    settings = {
        "session_ttl_seconds": session_ttl_seconds,
        "dedup_threshold": dedup_threshold,
        "recall_threshold": recall_threshold,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    screen = Screen()
    steps = Steps(screen)
    with listen(host, port, token) as listener:
        answering = _answering(model, steps)

        def check(memory: AgentMemory) -> None:
            asyncio.run(look(memory, address(listener), _waiting(memory, screen)))

        with open_memory(redis or _own_folder(), steps, check=check, **given) as memory:
            _serve(
                memory,
                listener,
                screen,
                str(steps),
                open_browser,
                host=host,
                token=token,
                answering=answering,
                model=model,
                reset=reset,
            )


def _own_folder() -> str:
    """A private Redis beside that of `agentmem chat`, whose memories are none of the demo's business."""
    from urllib.parse import quote

    from langchain_agentmem.embedded.server import EmbeddedRedis

    return f"embedded://{quote(str(EmbeddedRedis.default_data_dir().with_name('redis-demo')))}"


def _answering(model: str | None, steps: Any) -> Answering:
    from langchain_agentmem.cli.chat import models

    if model is None:
        with steps.step("program", "starting …"):
            models.offline(True)
        return models.offline
    prepared = models.prepare(model, steps, will_remember=True)
    return lambda will_remember: prepared


def _serve(
    memory: AgentMemory,
    listener: socket.socket,
    screen: Screen,
    started: str,
    open_browser: bool,
    *,
    host: str,
    model: str | None,
    **how: Any,
) -> None:
    import asyncio

    from langchain_agentmem.cli.connect import whereabouts
    from langchain_agentmem.demo.server import address, serve

    place, url = whereabouts(memory), address(listener)

    def ready(done: str) -> None:
        screen.aside(started)
        screen.aside(f"memory  {place}: {done}")
        screen.line(url)
        screen.aside("Ctrl-C ends it.")
        if open_browser and not _opened(url):
            screen.aside("No browser could be opened; open that address yourself.", "yellow")

    about = {"place": place, "model": model}
    try:
        asyncio.run(
            serve(
                memory,
                listener,
                host=host,
                about=about,
                waiting=_waiting(memory, screen),
                ready=ready,
                ended=_end_soon,
                **how,
            )
        )
    except OSError as error:
        raise CommandError(f"the page cannot be served: {error}") from error


def _waiting(memory: AgentMemory, screen: Screen) -> Callable[[], None]:
    from langchain_agentmem.cli.connect import whereabouts

    return lambda: screen.aside(
        f"memory  {whereabouts(memory)}: another demo uses it, or did until just now; looking …"
    )


def _end_soon() -> None:
    """End the process in a few seconds at the latest: Python itself would wait for a model that hangs."""
    import threading

    last_resort = threading.Timer(_LAST_SECONDS, os._exit, (INTERRUPTED,))
    last_resort.daemon = True
    last_resort.start()


def _opened(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)
