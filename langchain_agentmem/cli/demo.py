"""`agentmem demo`: its options, and what the page is served from."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from langchain_agentmem.cli import INTERRUPTED, options
from langchain_agentmem.cli.connect import open_memory, redis_cli, whereabouts
from langchain_agentmem.cli.console import CommandError, Screen
from langchain_agentmem.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_agentmem.demo.conversations import Answering

_LAST_SECONDS = 3.0
_MAX_SECONDS = 2**31 - 1


def demo(
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            envvar="AGENTMEM_DEMO_URL",
            callback=options.warned_of("AGENTMEM_DEMO_URL"),
            help="Where the memory is. Without it: a private Redis for the demo alone. Set the "
            "variable for a URL with a password: other users of the machine can read a command line.",
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8086,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; others than this machine's need a token.")
    ] = "127.0.0.1",
    reset: Annotated[
        bool,
        typer.Option("--reset", help="Remove everything of alice first, and bring the sample memories back."),
    ] = False,
    allow_reset: Annotated[
        bool,
        typer.Option(
            "--allow-reset", help="Let the page remove everything of a user from the store of --redis."
        ),
    ] = False,
    session_ttl_seconds: Annotated[
        int | None,
        typer.Option(min=1, max=_MAX_SECONDS, metavar="SECONDS", help="The TTL of an idle session."),
    ] = None,
    dedup_threshold: Annotated[
        float | None,
        options.threshold_option(
            "--dedup-threshold",
            help="With AGENTMEM_DEDUP=near: up to this a memory is a duplicate. Without it: "
            "AGENTMEM_DEDUP_THRESHOLD, else 0.20.",
        ),
    ] = None,
    recall_threshold: Annotated[float | None, options.threshold_option(most=1)] = None,
    model: options.Model = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="SECRET",
            envvar="AGENTMEM_DEMO_TOKEN",
            callback=options.warned_of("AGENTMEM_DEMO_TOKEN"),
            help="What the page asks for before it shows anything. Set the variable rather: other "
            "users of the machine can read a command line.",
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="A private Redis Cluster of three servers with replicas, which goes with the demo.",
        ),
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Watch the memory work in a browser, its three tiers live.

    Serves http://127.0.0.1:8086 until Ctrl-C. Without --redis, a private Redis of the demo's own. An empty
    store is filled with a few sample memories of alice; any other is opened as it is, beside whoever uses it.

    \b
      agentmem demo --open                          nothing to set up
      agentmem demo --redis redis://localhost:6379  look at a store of yours
      agentmem demo --model openai:gpt-5-mini       a real model answers
      agentmem demo --cluster                       on a Redis Cluster
      AGENTMEM_DEMO_TOKEN=… agentmem demo --host 0.0.0.0
                                                    for others too; with a token
    """
    from langchain_agentmem.demo.server import address, serve
    from langchain_agentmem.transport.urls import is_rest

    if token == "":
        raise typer.BadParameter("--token must not be empty.")
    if redis is not None and is_rest(redis):
        raise CommandError("The demo needs Redis with Search and JSON; a REST API will not do.")
    options.at_most_one(redis=redis, cluster=cluster)
    screen = Screen()
    with (
        _listening(host, port, token) as listener,
        _told_of(screen) as page,
        _own_server(screen, cluster=cluster) as own_url,
    ):
        page.url, page.open_browser = address(listener), open_browser
        answering = _answering(model, screen)
        with open_memory(
            redis or own_url,
            screen,
            session_ttl_seconds=session_ttl_seconds,
            dedup_threshold=dedup_threshold,
            recall_threshold=recall_threshold,
        ) as memory:
            page.place, page.is_kept = whereabouts(memory), not cluster
            served = serve(
                memory,
                listener,
                host=host,
                token=token,
                answering=answering,
                about={"place": page.place, "model": model, "redis_cli": redis_cli(memory)},
                reset=reset,
                may_reset=redis is None or allow_reset,
                ready=page.ready,
                ended=page.ended,
            )
            try:
                asyncio.run(served)
            except OSError as error:
                raise CommandError(f"the page cannot be served: {error}") from error


def _listening(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket for the page; if the port is in use, say that a demo may be what uses it."""
    from langchain_agentmem.demo.server import listen

    try:
        return listen(host, port, token)
    except ConfigurationError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} is in use. Is a demo running already? Open http://{host}:{port}, or choose "
                "another port with --port."
            ) from error
        raise


@contextmanager
def _told_of(screen: Screen) -> Iterator[_Page]:
    """Yield what tells of the page; after a Ctrl-C before it is open, say so."""
    page = _Page(screen)
    try:
        yield page
    except KeyboardInterrupt:
        if not page.is_open:
            screen.aside("Ended before the page was open.")
        raise


@contextmanager
def _own_server(screen: Screen, *, cluster: bool) -> Iterator[str]:
    """Yield the URL of the demo's own server, which is not that of `agentmem chat`."""
    from langchain_agentmem.embedded.cluster import EmbeddedCluster
    from langchain_agentmem.embedded.server import EmbeddedRedis

    if not cluster:
        yield f"embedded://{quote(str(EmbeddedRedis.default_data_dir().with_name('redis-demo')))}"
        return
    private = EmbeddedCluster(on_progress=screen.aside)
    with screen.busy("starting a private Redis Cluster …", step="cluster"):
        private.start()
    with private:
        yield private.url


def _answering(model: str | None, screen: Screen) -> Answering:
    from langchain_agentmem.cli.chat import models

    prepared = models.prepare(model, screen, will_remember=True)
    return models.offline if model is None else lambda will_remember: prepared


@dataclass
class _Page:
    """Tells a person where the page is."""

    screen: Screen
    url: str = ""
    open_browser: bool = False
    place: str = ""
    is_open: bool = False
    is_kept: bool = True

    def ready(self, done: str) -> None:
        """Say where the page is and what was `done` to the store; open a browser if that is wanted."""
        self.is_open = True
        self.screen.ready()
        self.screen.aside(f"memory  {self.place}: {done}")
        self.screen.line(self.url)
        self.screen.aside("Ctrl-C ends it.")
        if self.open_browser and not webbrowser.open(self.url):
            self.screen.aside("No browser could be opened; open that address yourself.", "yellow")

    def ended(self) -> None:
        """Say what became of it, and see to it that the process ends."""
        self.screen.aside(f"Ended. What it holds stays in {self.place}." if self.is_kept else "Ended.")
        _end_soon()


def _end_soon() -> None:
    """End the process in a few seconds at the latest: Python itself would wait for a model that hangs."""
    last_resort = threading.Timer(_LAST_SECONDS, os._exit, (INTERRUPTED,))
    last_resort.daemon = True
    last_resort.start()
