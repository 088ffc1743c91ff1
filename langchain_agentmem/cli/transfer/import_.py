"""`agentmem import`: lines of a file, or of standard input, and how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import CommandError, Screen, counted, one_line, show_json, standard

if TYPE_CHECKING:
    from langchain_agentmem.importing.report import ImportReport, MergedLine

_NAMED = 20
_SECONDS_BETWEEN_LINES = 5.0


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file; - reads standard input.")],
    redis: options.Redis = None,
    user: Annotated[
        str | None, options.id_option("user", "Whose. Without it: as the line says, else your login name.")
    ] = None,
    namespace: Annotated[
        str | None,
        options.id_option("namespace", "The memories'. Without it: as the line says, else default."),
    ] = None,
    kind: Annotated[
        str | None, options.id_option("kind", "The memories'. Without it: as the line says, else episodic.")
    ] = None,
    thread: Annotated[
        str | None, options.id_option("thread", "The messages' conversation, and where memories were learnt.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, max=10_000, help="How many lines are stored at once.")
    ] = 64,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Merge nothing: every line becomes a memory of its own.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name all that was merged.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Import conversations and memories from JSON lines.

    \b
      {"role": "user", "content": "Hi", "ts": 1715990400}   a message, of the conversation --thread
      "Lives in Lisbon."                                    a memory
      {"text": "Lives in Lisbon.", "kind": "semantic"}      a memory; also user, namespace, thread, metadata

    What agentmem export writes can be read too (except events); an option goes before what a line says. In a
    file whose name ends with .txt, every line is a memory as it stands.

    A second run stores nothing twice, also if the first was ended in the middle; nor does an export coming
    back into its store. A line that says the same as a memory, or as an earlier line, is merged into it: the
    report says which (--verbose and --json: all of them), and --keep-all merges none. A line that cannot be
    imported is reported with its number, the rest goes on, and the exit code is 1. A session keeps as many
    messages as AGENTMEM_MAX_TURNS says (20; none: all); the report names those that do not hold theirs all.

    \b
      agentmem import chat.jsonl --thread 4f0c9a --user alice
      agentmem import facts.txt --user alice --kind semantic
      agentmem export --user alice | agentmem import - --redis redis://other:6379
    """
    screen = Screen()
    with (
        _opened(file) as (stream, size),
        open_store(redis, screen) as memory,
        Reading(screen, stream, size) as reading,
    ):
        report = memory.import_lines(
            reading,
            user=user,
            namespace=namespace,
            kind=kind,
            thread_id=thread,
            default_user=options.login_name(),
            plain=file.endswith(".txt"),
            keep_all=keep_all,
            batch_size=batch_size,
            on_batch=reading.show,
        )
    if as_json:
        show_json(report.to_dict())
    else:
        screen.facts(_told(report, verbose))
    if report.refused:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open the file; its size comes too, which standard input does not have."""
    if file == "-":
        yield standard("input"), None
        return
    if not Path(file).exists():
        raise CommandError(f"There is no file {file}.")
    with Path(file).open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size or None


class Reading(Progress):
    """Reads lines and shows the progress: a bar on a terminal, else a line now and then; on standard error.

    Args:
        screen: Where it is shown.
        stream: What is read.
        size: Its bytes, which say how much is left; `None` if unknown.
    """

    def __init__(self, screen: Screen, stream: Iterable[bytes], size: int | None) -> None:
        text = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), BarColumn(), text, TimeRemainingColumn())
        super().__init__(*columns, console=screen.err, transient=True, disable=not screen.err.is_lively)
        self._screen, self._stream, self._size = screen, stream, size
        self._bar = self.add_task("", total=size)
        self._bytes = self._refused = 0
        self._began = self._said = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            self._bytes += len(line)
            yield line

    def show(self, report: ImportReport) -> None:
        """Show how many lines are done, and which of them were refused since."""
        for refused in report.refused[self._refused :]:
            self._screen.aside(f"line {refused.line}: {one_line(refused.error, 600)}", "yellow")
        self._refused, now = len(report.refused), time.monotonic()
        so_far = f"{report.lines:,} lines, {report.lines / max(now - self._began, 1e-3):,.0f} a second"
        self.update(self._bar, completed=self._bytes, description=so_far)
        if self.disable and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            part = f"{100 * self._bytes // self._size} %, " if self._size else ""
            self._screen.aside(part + so_far)


def _told(report: ImportReport, verbose: bool) -> list[tuple[str, str]]:
    facts = [
        ("messages", f"{report.new_messages:,} new, {report.duplicate_messages:,} duplicate"),
        ("memories", f"{report.new_memories:,} new, {report.duplicate_memories:,} duplicate"),
    ]
    if report.superseded_memories:
        facts.append(
            ("left out", f"{counted(report.superseded_memories, 'memory')} that others have replaced")
        )
    facts += [("merged", _merged(one)) for one in report.merged[: None if verbose else _NAMED]]
    if len(report.merged) > _NAMED and not verbose:
        more = counted(len(report.merged) - _NAMED, "line")
        facts.append(("and", f"{more} more, likewise (--verbose names each)"))
    for window in report.windows[:_NAMED]:
        kept = f"keeps the last {window.kept:,} of {window.messages:,} (AGENTMEM_MAX_TURNS=none keeps all)"
        facts.append(("thread", f"{one_line(window.thread, 60)} {kept}"))
    if len(report.windows) > _NAMED:
        more = counted(len(report.windows) - _NAMED, "thread")
        facts.append(("and", f"{more} more, likewise (--json names each)"))
    if report.refused:
        facts.append(("refused", counted(len(report.refused), "line")))
    return facts


def _merged(merged: MergedLine) -> str:
    """Return into what a line was merged, with both texts where the other one is not in the file."""
    said = f"line {merged.line} “{one_line(merged.text, 80)}” says the same as"
    if merged.into_line is not None:
        return f"{said} line {merged.into_line}"
    return f"{said} the memory {one_line(merged.id, 60)} “{one_line(merged.into_text, 80)}”"
