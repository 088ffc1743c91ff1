"""`agentmem import`: its options, the reading of the file, and what is shown meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, TypeAlias

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.cli.options import AsJson, Redis, login_name, scope_option
from langchain_agentmem.cli.output import show_json, standard_input
from langchain_agentmem.cli.progress import Progress
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.cli.transfer.format import Line, Tally
    from langchain_agentmem.cli.transfer.importer import Importer
    from langchain_agentmem.cli.transfer.sessions import Window

HELP = """Import conversations and memories from JSON lines.

\b
  {"role": "user", "content": "Hi", "ts": 1715990400}   a message, of the conversation --thread
  "Lives in Lisbon."                                    a memory
  {"text": "Lives in Lisbon.", "kind": "semantic"}      a memory; also user, namespace, thread, metadata

What agentmem export writes can be read too (but for events); an option goes before what a line says. In a
file whose name ends with .txt, every line is a memory as it stands.

A second run stores nothing twice, also if the first was ended in the middle. Into the store it came from, an
export appends its conversations again; memories are known by their ids. A memory that is known already, or
nearly the same, is left as it is. A line that cannot be imported is reported with its number, the rest goes
on, and the exit code is 1. A session keeps as many messages as AGENTMEM_MAX_TURNS says (20; none: all); the
report names those that do not hold all of theirs.

\b
  agentmem import chat.jsonl --thread 4f0c9a --user alice
  agentmem import facts.txt --user alice --kind semantic
  agentmem export --user alice | agentmem import - --redis redis://other:6379"""

_WINDOWS_NAMED = 20

_Raw: TypeAlias = tuple[int, bytes]


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - reads standard input.")],
    redis: Redis = None,
    user: Annotated[
        str | None, scope_option("user", "Whose. Without it: as the line says, else your login name.")
    ] = None,
    namespace: Annotated[
        str | None, scope_option("namespace", "The memories'. Without it: as the line says, else default.")
    ] = None,
    kind: Annotated[
        str | None, scope_option("kind", "The memories'. Without it: as the line says, else episodic.")
    ] = None,
    thread: Annotated[
        str | None, scope_option("thread", "The messages' conversation, and where memories were learnt.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=10_000, help="How many lines are stored at once.")
    ] = 64,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem import`."""
    from langchain_agentmem.cli.connect import open_store
    from langchain_agentmem.cli.transfer.format import Defaults
    from langchain_agentmem.cli.transfer.importer import Importer

    screen = Screen()
    with _opened(file) as (stream, size), open_store(redis, screen) as memory:
        importer = Importer(memory, Defaults(user, namespace, kind, thread, login_name()))
        with Progress(screen, size) as progress:
            _import(importer, stream, progress, plain=file.endswith(".txt"), batch_size=batch_size)
        windows = importer.windows()
    _tell(screen, importer.tally, windows, as_json)
    if importer.tally.bad:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size, which standard input does not have."""
    if file == "-":
        yield standard_input(), None
        return
    if not Path(file).exists():
        raise CommandError(f"There is no file {file}.")
    with Path(file).open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size or None


def _import(
    importer: Importer, stream: Iterable[bytes], progress: Progress, *, plain: bool, batch_size: int
) -> None:
    from langchain_agentmem.cli.transfer.format import parse

    bad = importer.tally.bad
    for batch in _batches(stream, batch_size):
        lines: list[tuple[int, Line]] = []
        told = len(bad)
        for number, raw in batch:
            try:
                line = parse(raw, plain=plain)
            except InvalidInputError as error:
                bad.append((number, str(error)))
            else:
                lines += [] if line is None else [(number, line)]
        importer.store(lines)
        bad[told:] = sorted(bad[told:])
        for number, why in bad[told:]:
            progress.say(f"line {number}: {text.one_line(why, 600)}")
        progress.advance(len(batch), sum(len(raw) for _, raw in batch))


def _batches(stream: Iterable[bytes], size: int) -> Iterator[list[_Raw]]:
    """Numbered lines, so many at a time; a byte order mark is none of the first."""
    batch: list[_Raw] = []
    for number, raw in enumerate(stream, 1):
        batch.append((number, raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


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
        kept = f"keeps the last {window.kept:,} of {window.messages:,}"
        facts.append(
            ("thread", f"{text.one_line(window.thread, 60)} {kept} (AGENTMEM_MAX_TURNS=none keeps all)")
        )
    if len(windows) > _WINDOWS_NAMED:
        more = text.count(len(windows) - _WINDOWS_NAMED, "thread")
        facts.append(("and", f"{more} more, likewise (--json names each)"))
    if tally.bad:
        facts.append(("refused", text.count(len(tally.bad), "line")))
    return screen.facts(facts)
