"""`agentmem export`: what is stored, as JSON lines that `import` reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from itertools import islice
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from langchain_agentmem.cli.failures import message
from langchain_agentmem.cli.options import Owner, Redis, scope_option
from langchain_agentmem.cli.screen import Screen
from langchain_agentmem.cli.streams import standard_output
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

HELP = """Write memories and conversations as JSON lines, which agentmem import reads.

A memory is {"text": …, "user": …, "namespace": …, "kind": …, …}, a message {"thread": …, "role": …,
"content": …, "ts": …, …}. Not exported are embeddings, and what a window has cut off. Importing gives
memories a new time and no hits. --what events is for reading only.

\b
  agentmem export --user alice --output alice.jsonl
  agentmem export --what sessions --thread 4f0c9a
  agentmem export | agentmem import - --redis redis://other:6379

What cannot be read is reported, the rest goes on, and the exit code is 1."""

_PAGE = 200


class What(str, Enum):
    """What is exported."""

    memories = "memories"
    sessions = "sessions"
    events = "events"


def export(
    redis: Redis = None,
    user: Owner = None,
    thread: Annotated[str | None, scope_option("thread", "Only of this conversation.")] = None,
    what: Annotated[
        list[What] | None,
        typer.Option("--what", help="May be given again. Without it: memories and sessions."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Instead of standard output, which is -.")
    ] = None,
) -> None:
    """Run `agentmem export`."""
    from langchain_agentmem.cli.startup import open_store
    from langchain_agentmem.core import json

    screen, failed = Screen(), False
    with open_store(redis, screen) as memory, _written(output) as out:
        for each in what or [What.memories, What.sessions]:
            for line in _LINES[each](memory, user, thread):
                if isinstance(line, AgentMemoryError):
                    screen.aside(message(line), "yellow")
                    failed = True
                else:
                    out.write(json.dumps(line) + b"\n")
    if failed:
        raise typer.Exit(1)


@contextmanager
def _written(output: Path | None) -> Iterator[BinaryIO]:
    """Where to write; a file takes its name once it is whole, so that no older export is lost."""
    if output is None or str(output) == "-":
        out = standard_output()
        yield out
        out.flush()
        return
    if output.exists() and not output.is_file():  # a pipe, /dev/null; a folder is refused
        with output.open("wb") as stream:
            yield stream
        return
    whole = output.resolve()  # a link stays one
    # A new file with a name of its own, for this user only: the folder may be open to others.
    handle, name = mkstemp(dir=whole.parent, prefix=".agentmem-", suffix=".part")
    part = Path(name)
    try:
        with open(handle, "wb") as stream:
            yield stream
        if whole.exists():
            part.chmod(whole.stat().st_mode & 0o777)
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)


def _memories(memory: AgentMemory, user: str | None, thread: str | None) -> Iterator[Any]:
    """Every memory, from its own key: the index need not be there, and brings no million rows at once."""
    from langchain_agentmem.core.operations import gather
    from langchain_agentmem.longterm.upstash.operations import MAX_LISTED

    ids = _memory_ids(memory, user)
    for page in _pages(iter(ids)):
        found = memory.transport.run(gather(memory.long_term.get_op(one, user) for one in page))
        for record in found:
            if isinstance(record, AgentMemoryError):
                yield record
            elif record is not None and thread in (None, record.source_thread):
                about = asdict(record)
                about["thread"] = about.pop("source_thread")
                searched = ("distance", "score")
                yield {name: value for name, value in about.items() if name not in searched}
    if memory.transport.rest and len(ids) >= MAX_LISTED:
        yield InvalidInputError(f"Upstash lists {MAX_LISTED} memories at most; there may be more of {user}.")


def _memory_ids(memory: AgentMemory, user: str | None) -> list[str]:
    from langchain_agentmem.longterm.documents import REDIS_TYPES
    from langchain_agentmem.longterm.upstash.operations import MAX_LISTED

    settings = memory.settings
    if memory.transport.rest:
        if user is None:
            raise InvalidInputError("Memories on Upstash are exported a user at a time: add --user.")
        found = memory.long_term.list_memories(user=user, namespace=None, limit=MAX_LISTED)
        return [record.id for record in found]
    return _keys(memory, settings.memory_prefix, REDIS_TYPES[settings.storage])


def _keys(memory: AgentMemory, prefix: str, kind: str) -> list[str]:
    """What stands behind a prefix in the keys of a Redis type."""
    from langchain_agentmem.core.operations import Op, text
    from langchain_agentmem.core.scan import scan

    found: list[str] = []

    def visit(keys: list[bytes]) -> Op[bool]:
        yield from ()
        found.extend(text(key)[len(prefix) :] for key in keys)
        return False

    memory.transport.run(scan(prefix, kind, visit))
    return found


def _pages(ids: Iterator[str]) -> Iterator[list[str]]:
    while page := list(islice(ids, _PAGE)):
        yield page


def _sessions(memory: AgentMemory, user: str | None, thread: str | None) -> Iterator[Any]:
    from langchain_agentmem.cli.sessions import each, turn_object

    for state in each(memory, None if thread is None else [thread]):
        if user not in (None, state.user):
            continue
        whose = {"thread": state.thread_id, "user": state.user or "default"}
        notes = {"agent": state.agent or "default", "goal": state.goal, "scratchpad": state.scratchpad}
        yield whose | notes
        for turn in state.recent_turns:
            yield whose | turn_object(turn)
        for entry in state.unreadable:
            yield InvalidInputError(
                f"The message at position {entry.position} of {entry.key!r} cannot be read: {entry.reason}"
            )


def _events(memory: AgentMemory, user: str | None, thread: str | None) -> Iterator[Any]:
    threads = _keys(memory, memory.settings.events_prefix, "stream") if thread is None else [thread]
    for each in threads:
        last = ""
        while page := memory.events.after(each, last, _PAGE):
            last = page[-1].id
            for event in page:
                if user in (None, event.user):
                    yield {"thread": each, **asdict(event)}


_LINES = {What.memories: _memories, What.sessions: _sessions, What.events: _events}
