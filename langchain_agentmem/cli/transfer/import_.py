"""`agentmem import`: the same lines are stored once, however often, and whatever ends a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import (
    CommandError,
    Screen,
    counted,
    one_line,
    printable,
    show_json,
    standard_input,
)
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.cli.transfer.format import Defaults, Tally
    from langchain_agentmem.cli.transfer.sessions import Window

_WINDOWS_NAMED = 20
_SECONDS_BETWEEN_LINES = 5.0


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - reads standard input.")],
    redis: options.Redis = None,
    user: Annotated[
        str | None, options.scope_option("user", "Whose. Without it: as the line says, else your login name.")
    ] = None,
    namespace: Annotated[
        str | None,
        options.scope_option("namespace", "The memories'. Without it: as the line says, else default."),
    ] = None,
    kind: Annotated[
        str | None,
        options.scope_option("kind", "The memories'. Without it: as the line says, else episodic."),
    ] = None,
    thread: Annotated[
        str | None,
        options.scope_option("thread", "The messages' conversation, and where memories were learnt."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=10_000, help="How many lines are stored at once.")
    ] = 64,
    as_json: options.AsJson = False,
) -> None:
    """Import conversations and memories from JSON lines.

    \b
      {"role": "user", "content": "Hi", "ts": 1715990400}   a message, of the conversation --thread
      "Lives in Lisbon."                                    a memory
      {"text": "Lives in Lisbon.", "kind": "semantic"}      a memory; also user, namespace, thread, metadata

    What agentmem export writes can be read too (except events); an option goes before what a line says. In a
    file whose name ends with .txt, every line is a memory as it stands.

    A second run stores nothing twice, also if the first was ended in the middle. Into the store it came from,
    an export appends its conversations again; memories are known by their ids. A memory that is known
    already, or nearly the same, is left as it is. A line that cannot be imported is reported with its number,
    the rest goes on, and the exit code is 1. A session keeps as many messages as AGENTMEM_MAX_TURNS says (20;
    none: all); the report names those that do not hold all of theirs.

    \b
      agentmem import chat.jsonl --thread 4f0c9a --user alice
      agentmem import facts.txt --user alice --kind semantic
      agentmem export --user alice | agentmem import - --redis redis://other:6379
    """
    from langchain_agentmem.cli.transfer.format import Defaults

    screen, defaults = Screen(), Defaults(user, namespace, kind, thread, options.login_name())
    with _opened(file) as (stream, size), open_store(redis, screen) as memory:
        importer = _Importer(memory, defaults, plain=file.endswith(".txt"))
        with Reading(screen, size) as reading:
            for batch in _batches(stream, batch_size):
                for number, why in importer.store(batch):
                    reading.say(f"line {number}: {one_line(why, 600)}")
                reading.advance(len(batch), sum(len(raw) for _, raw in batch))
        windows = importer.sessions.windows()
    _tell(screen, importer.tally, windows, as_json)
    if importer.tally.bad:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open the file; its size comes too, which standard input does not have."""
    if file == "-":
        yield standard_input(), None
        return
    if not Path(file).exists():
        raise CommandError(f"There is no file {file}.")
    with Path(file).open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size or None


def _batches(stream: Iterable[bytes], size: int) -> Iterator[list[tuple[int, bytes]]]:
    """Return numbered lines, so many at a time; a byte order mark is none of the first."""
    batch: list[tuple[int, bytes]] = []
    for number, raw in enumerate(stream, 1):
        batch.append((number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class Reading(Progress):
    """Show how far a file is read: a bar on a terminal, else a line now and then; on standard error.

    Args:
        screen: Where it is shown.
        size: The file's bytes, which say how much is left; `None` if nobody knows.
    """

    def __init__(self, screen: Screen, size: int | None) -> None:
        text = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(), text, TimeRemainingColumn())
        super().__init__(*columns, console=screen.err, transient=True, disable=not screen.err.is_lively)
        self._screen, self._size, self._bar = screen, size, self.add_task("", total=size)
        self._done = self._bytes = 0
        self._began = self._said = time.monotonic()

    def advance(self, lines: int, size: int) -> None:  # type: ignore[override]
        """Count so many lines, of so many bytes, as done."""
        self._done, self._bytes, now = self._done + lines, self._bytes + size, time.monotonic()
        rate = self._done / max(now - self._began, 1e-3)
        so_far = f"{self._done:,} lines, {rate:,.0f} a second"
        self.update(self._bar, completed=self._bytes, description=so_far)
        if self.disable and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            part = f"{100 * self._bytes // self._size} %, " if self._size else ""
            self._screen.aside(part + so_far)

    def say(self, line: str) -> None:
        """Print a line beside the progress, without control characters."""
        self._screen.err.print(Text(printable(line), "yellow"), soft_wrap=True)


class _Importer:
    """Take lines and store them a batch at a time, in their order; `tally` is what became of them."""

    def __init__(self, memory: AgentMemory, defaults: Defaults, *, plain: bool) -> None:
        from langchain_agentmem.cli.transfer.format import Tally
        from langchain_agentmem.cli.transfer.memories import ImportedMemories
        from langchain_agentmem.cli.transfer.sessions import ImportedSessions

        self.tally = Tally()
        self.sessions = ImportedSessions(memory, defaults, self.tally)
        self._memories = ImportedMemories(memory, defaults, self.tally)
        self._plain = plain

    def store(self, batch: Sequence[tuple[int, bytes]]) -> list[tuple[int, str]]:
        """Store a batch; return the lines that cannot be stored, which do not keep the others, and why."""
        from langchain_agentmem.cli.transfer.format import MemoryLine, NotesLine, parse

        told = len(self.tally.bad)
        for number, raw in batch:
            try:
                line = parse(raw, plain=self._plain)
                if isinstance(line, MemoryLine):
                    self._memories.take(line)
                elif isinstance(line, NotesLine):
                    self.sessions.note(line)
                elif line is not None:
                    self.sessions.take(number, line)
            except (InvalidInputError, WrongKeyTypeError) as error:
                self.tally.bad.append((number, str(error)))
        self.sessions.store()
        self._memories.store()
        self.tally.bad[told:] = sorted(self.tally.bad[told:])
        return self.tally.bad[told:]


def _tell(screen: Screen, tally: Tally, windows: Sequence[Window], as_json: bool) -> None:
    if as_json:
        return show_json(
            {
                "messages": {"new": tally.new_messages, "known": tally.known_messages},
                "memories": {"new": tally.new_memories, "known": tally.known_memories},
                "windows": [asdict(window) for window in windows],
                "bad_lines": [{"line": number, "error": why} for number, why in tally.bad],
            }
        )
    facts = [
        ("messages", f"{tally.new_messages:,} new, {tally.known_messages:,} known already"),
        ("memories", f"{tally.new_memories:,} new, {tally.known_memories:,} known already"),
    ]
    for window in windows[:_WINDOWS_NAMED]:
        kept = f"keeps the last {window.kept:,} of {window.messages:,} (AGENTMEM_MAX_TURNS=none keeps all)"
        facts.append(("thread", f"{one_line(window.thread, 60)} {kept}"))
    if len(windows) > _WINDOWS_NAMED:
        more = counted(len(windows) - _WINDOWS_NAMED, "thread")
        facts.append(("and", f"{more} more, likewise (--json names each)"))
    if tally.bad:
        facts.append(("refused", counted(len(tally.bad), "line")))
    return screen.facts(facts)
