"""From a URL to a memory that is ready, telling a person what takes so long."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import typer

from langchain_agentmem.cli.console import Screen, message
from langchain_agentmem.cli.text import place
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory


@contextmanager
def open_memory(
    url: str | None, screen: Screen, *, check: Callable[[AgentMemory], object] | None = None, **settings: Any
) -> Iterator[AgentMemory]:
    """Open a memory whose server answers, has the index, and whose model is loaded.

    One after the other: the server takes a fifth of a second, and one that cannot be reached should
    be told at once, not when the model has come. The same goes for whatever `check` raises.
    """
    with _made(url, **settings) as memory:
        with screen.busy(f"{_reaching(memory)} …", step="Redis"):
            memory.long_term.create_index()
        if check is not None:
            check(memory)
        embeddings = memory.long_term.embeddings
        if embeddings is not None:  # else words are searched for
            with screen.busy("loading the embedding model …", step="model"):
                embeddings.embed_query("The first text takes longer than the others.")
        yield memory


@contextmanager
def open_store(url: str | None, screen: Screen, *, with_data: bool = True) -> Iterator[AgentMemory]:
    """Open a memory whose server answers; neither an index nor the embedding model is needed for it.

    Args:
        url: Where it is, if that is given.
        screen: Tells what takes so long.
        with_data: Whether its data can be asked for, too. Else one node of a cluster that answers will do.
    """
    from langchain_agentmem.core.operations import asks, call

    with _made(url) as memory:
        run = memory.transport.run if with_data else memory.transport.run_about_server
        with screen.busy(f"{_reaching(memory)} …"):
            run(call(asks("PING")))
        yield memory


def _made(url: str | None, **settings: Any) -> AgentMemory:
    """Return the memory; a URL that was given and is not understood is wrong usage: exit code 2."""
    from langchain_agentmem.agent_memory import AgentMemory

    given = {name: value for name, value in settings.items() if value is not None}
    try:
        return AgentMemory(url, **given)
    except MissingDependencyError:
        raise
    except ConfigurationError as error:
        if url is None:
            raise
        AgentMemory("redis://localhost", **given).close()  # raises too if a setting is to blame
        raise typer.BadParameter(message(error).removeprefix("error: "), param_hint="--redis") from error


def whereabouts(memory: AgentMemory) -> str:
    """Return where the memory is, for a person; without secrets."""
    from langchain_agentmem.embedded.server import EmbeddedRedis

    url = memory.settings.url.get_secret_value()
    if not url.startswith("embedded:"):
        return place(url)
    folder = place(url).removeprefix("embedded://").rstrip("/") or str(EmbeddedRedis.default_data_dir())
    return f"a private Redis in {folder}"


def redis_cli(memory: AgentMemory) -> str:
    """Return the command that reaches the memory, or that prints the URL for one; without secrets."""
    from langchain_agentmem.embedded.server import EmbeddedRedis

    url = memory.settings.url.get_secret_value()
    if url.startswith("embedded:"):
        folder = unquote(urlsplit(url).path).rstrip("/") or str(EmbeddedRedis.default_data_dir())
        return f"agentmem redis --port 6390 --data-dir {shlex.quote(folder)}"
    if url.startswith("unix:"):
        return f"redis-cli -s {shlex.quote(unquote(urlsplit(url).path))}"
    if memory.transport.cluster:  # any of its nodes leads to the others
        first = place(url).partition(",")[0].replace("+cluster", "")
        return f"redis-cli -c -u {first}"
    return f"redis-cli -u {place(url)}"


def _reaching(memory: AgentMemory) -> str:
    where = whereabouts(memory)
    return f"starting {where}" if where.startswith("a private") else f"connecting to {where}"
