"""`agentmem redis`: the private Redis in the foreground, for other programs to use."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, unquote, urlsplit

import typer

from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.options import AsJson

if TYPE_CHECKING:
    from langchain_agentmem.embedded.server import EmbeddedRedis

_LOOK_SECONDS = 1.0


def redis(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the data is, made if need be.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Listen there too, on 127.0.0.1.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the private Redis until Ctrl-C, and print its URL.

    The URL has its password. It is the server that embedded:// means, with Search and JSON; everybody who
    names its folder shares it.

    \b
      agentmem redis                         this user's own memory
      agentmem redis --data-dir ./memory     another folder
      agentmem redis --port 6390             on 127.0.0.1 besides the unix socket
      agentmem redis --json                  {"url": …} for other programs

    Ctrl-C ends with exit code 0.
    """
    from langchain_agentmem.embedded.server import EmbeddedRedis

    screen = Screen()
    folder = EmbeddedRedis.default_data_dir() if data_dir is None else data_dir
    with EmbeddedRedis(folder, on_progress=screen.aside) as server:
        try:  # from before the URL is shown: whoever reads it may press Ctrl-C at once
            url = server.url if port is None else _listening(server, port)
            if as_json:
                show_json({"url": url})
            else:
                screen.line(url)
                screen.aside("Ctrl-C ends it, unless other programs use it too.")
            _stay(server, port)
        except KeyboardInterrupt:
            if port is not None:
                _set_port(server, 0)
            screen.aside(f"Ended, unless other programs use it too. The data stays in {folder}.")


def _stay(server: EmbeddedRedis, port: int | None) -> None:
    """Wait for Ctrl-C. A server that died comes back with a new process, and without the port."""
    pid, pause = server.pid, threading.Event()
    while True:
        pause.wait(_LOOK_SECONDS)
        server.start()
        if server.pid != pid:
            pid = server.pid
            if port is not None:
                _set_port(server, port)


def _listening(server: EmbeddedRedis, port: int) -> str:
    _set_port(server, port)
    password = unquote(urlsplit(server.url).password or "")
    return f"redis://:{quote(password)}@127.0.0.1:{port}/0"


def _set_port(server: EmbeddedRedis, port: int) -> None:
    """Have the running server listen; it keeps its password."""
    from redis import Redis
    from redis.exceptions import ResponseError

    with Redis.from_url(server.url) as client:
        try:
            client.config_set("bind", "127.0.0.1")
            client.config_set("port", port)
        except ResponseError as error:
            if "port" in str(error):
                raise CommandError(f"Port {port} is in use. Choose another one with --port.") from error
            raise CommandError(f"The private Redis cannot listen on port {port}: see its log.") from error
