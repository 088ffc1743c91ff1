"""`agentmem export`: what is stored, as JSON lines that `import` reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated, Any, BinaryIO

import typer

from langchain_agentmem.cli import INTERRUPTED
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, message, standard
from langchain_agentmem.cli.options import Owner, Redis, Thorough, id_option
from langchain_agentmem.cli.text import counted, one_line
from langchain_agentmem.errors import AgentMemoryError

_NOUNS = ("memory", "conversation", "message", "event", "item")


class _What(str, Enum):
    memories = "memories"
    sessions = "sessions"
    events = "events"
    store = "store"


def export(
    redis: Redis = None,
    user: Owner = None,
    thread: Annotated[str | None, id_option("thread", "Only of this conversation.")] = None,
    thorough: Thorough = False,
    what: Annotated[
        list[_What] | None,
        typer.Option("--what", help="May be given again. Without it: memories and sessions."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Instead of standard output, which is -.")
    ] = None,
) -> None:
    """Write memories and conversations as JSON lines.

    agentmem import reads them: a memory is {"text": …, "user": …, "namespace": …, "kind": …, …}, a message
    {"thread": …, "role": …, "content": …, "ts": …, …}. Everything keeps its dates. Not exported are
    embeddings, and what a window has cut off. --what events and --what store
    (items of the LangGraph store) are for reading only. With --user, what this
    package wrote for that user is exported; with --thorough, what other programs wrote too.

    \b
      agentmem export --user alice --output alice.jsonl
      agentmem export --what sessions --thread 4f0c9a
      agentmem export | agentmem import - --redis redis://other:6379

    What cannot be read is reported, the rest goes on, and the exit code is 1.
    """
    from langchain_agentmem import user_data
    from langchain_agentmem.agents.store.partitions import ItemPartitions
    from langchain_agentmem.core import json

    screen, unreadable = Screen(), list[AgentMemoryError]()

    def report(error: AgentMemoryError) -> None:
        screen.aside(message(error), "yellow")
        unreadable.append(error)

    wanted: list[user_data.Tier] = [each.value for each in what or (_What.memories, _What.sessions)]
    with open_store(redis, screen) as memory:
        items = ItemPartitions(memory.settings.keys(cluster=memory.transport.cluster))
        tiers = user_data.Tiers(memory.working, memory.long_term, memory.events, items, memory.tasks)
        steps = user_data.export(tiers, user, wanted=wanted, thread_id=thread, thorough=thorough)
        written = Counter[str]()
        with _told(screen, output, written), _written(output) as out:
            for line in user_data.readable(user_data.run(steps, memory.transport), report):
                out.write(json.dumps(line) + b"\n")
                written[_noun(line)] += 1
    if unreadable:
        raise typer.Exit(1)


def _noun(line: dict[str, Any]) -> str:
    """Return what a line of an export is."""
    if "text" in line:
        return "memory"
    if "key" in line:
        return "item"
    return "event" if "action" in line else "message" if "role" in line else "conversation"


@contextmanager
def _told(screen: Screen, output: Path | None, written: Counter[str]) -> Iterator[None]:
    """Say on standard error what was written and where; also of an export that was ended.

    Args:
        screen: Where to say it.
        output: Where it is written.
        written: How many lines were written, by what they are.
    """

    def lines() -> str:
        kinds = ", ".join(counted(written[noun], noun) for noun in _NOUNS if written[noun])
        return counted(written.total(), "line") + (f" ({kinds})" if kinds else "")

    is_file = output is not None and str(output) != "-" and (output.is_file() or not output.exists())
    try:
        yield
    except (KeyboardInterrupt, AgentMemoryError) as error:
        left = f"{output} is as it was before; the unfinished file is removed."
        screen.aside(f"Stopped: {left if is_file else f'wrote {lines()}; the rest is missing.'}", "yellow")
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(INTERRUPTED) from None
        raise
    screen.aside(f"wrote {lines()} to {_place(output)}")


def _place(output: Path | None) -> str:
    return "standard output" if output is None or str(output) == "-" else one_line(str(output))


@contextmanager
def _written(output: Path | None) -> Iterator[BinaryIO]:
    """Open where to write; a file takes its name once it is whole, so that no older export is lost."""
    if output is None or str(output) == "-":
        out = standard("output")
        yield out
        out.flush()
        return
    if output.exists() and not output.is_file():  # a pipe, /dev/null; a folder is refused
        with output.open("wb") as stream:
            yield stream
        return
    whole = output.resolve()  # a link stays one
    # A new file with a name of its own, for this user only: the folder may be open to others.
    with _naming(output):
        handle, name = mkstemp(dir=whole.parent, prefix=".agentmem-", suffix=".part")
    part = Path(name)
    try:
        with open(handle, "wb") as stream:
            yield stream
        with _naming(output):
            if whole.exists():
                part.chmod(whole.stat().st_mode & 0o777)
            part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _naming(given: Path) -> Iterator[None]:
    """Let what fails name the file that was given, not the one that stands for it meanwhile."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(given)) from error
