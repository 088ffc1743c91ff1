"""`agentmem import`: a chat export or lines of a file, or of standard input, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from langchain_agentmem.cli import INTERRUPTED, options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import CommandError, Screen, show_json, standard
from langchain_agentmem.cli.text import counted, one_line, span
from langchain_agentmem.errors import AgentMemoryError

if TYPE_CHECKING:
    from langchain_agentmem import AgentMemory, ChatExportLines, ImportReport, MergedLine
    from langchain_agentmem.importing.report import TrimmedSession

_NAMED = 20
_SECONDS_BETWEEN_LINES = 5.0
_PRODUCTS = {"chatgpt": "a ChatGPT export", "claude": "a Claude export"}


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
    """Import a ChatGPT or Claude export, or lines of JSON or text.

    \b
      agentmem import chatgpt-export.zip --user alice     conversations, and what
                                                          you stated in them
      agentmem import conversations.json --user alice     the same, unpacked
      agentmem import chat.jsonl --thread 4f0c9a --user alice
      agentmem import facts.txt --user alice --kind semantic
      agentmem export --user alice | agentmem import - --redis redis://other:6379

    A JSON line is one of these, or any that agentmem export writes (except events):

    \b
      {"role": "user", "content": "Hi", "ts": 1715990400}  a message, of --thread
      "Lives in Lisbon."                                   a memory
      {"text": "Lives in Lisbon.", "kind": "semantic"}     a memory; also user,
                                                           thread, namespace,
                                                           metadata

    An option goes before what a line says. In a file whose name ends with .txt, every line is a memory as it
    stands. You may stop it and run it again: nothing is stored twice. What says the same as a memory, or as
    an earlier line, is merged into it, unless --keep-all is given. What cannot be imported is reported, the
    rest goes on, and the exit code is 1.
    """
    screen, plain = Screen(), file.endswith(".txt")
    with _opened(file) as stream, _read(stream, plain) as lines:
        if thread is not None and lines.format != "lines":
            raise typer.BadParameter(
                f"{_PRODUCTS[lines.format]} has conversations of its own.", param_hint="--thread"
            )
        with open_store(redis, screen) as memory:
            with _telling(Reading(screen, lines)) as reading:
                report = memory.import_lines(
                    reading,
                    user=user,
                    namespace=namespace,
                    kind=kind,
                    thread_id=thread,
                    default_user=options.login_name(),
                    plain=plain,
                    keep_all=keep_all,
                    batch_size=batch_size,
                    on_batch=reading.show,
                )
            reading.show(report)
            if as_json:
                show_json(report.to_dict() | _described(lines))
            else:
                screen.facts(_told(report, lines, memory, verbose))
    if report.refused or lines.problems:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield standard("input")
        return
    if not Path(file).exists():
        raise CommandError(f"There is no file {file}.")
    with Path(file).open("rb") as stream:
        yield stream


@contextmanager
def _read(stream: BinaryIO, plain: bool) -> Iterator[ChatExportLines]:
    """Find out what the file is before anything is opened that takes time."""
    from langchain_agentmem.importing.chat_exports import chat_export_lines

    with chat_export_lines(stream, plain=plain) as lines:
        yield lines


@contextmanager
def _telling(reading: Reading) -> Iterator[Reading]:
    """Show the progress; if the import is ended, say what it has done so far."""
    try:
        with reading:
            yield reading
    except (KeyboardInterrupt, AgentMemoryError) as error:
        reading.tell_end()
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(INTERRUPTED) from None
        raise


class Reading(Progress):
    """Reads lines and shows the progress: a bar on a terminal, else a line now and then; on standard error.

    Args:
        screen: Where it is shown.
        lines: What is read, and how much of it has been.
    """

    def __init__(self, screen: Screen, lines: ChatExportLines) -> None:
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=16),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(*columns, console=screen.err, transient=True, disable=not screen.err.is_lively)
        self._screen, self._lines = screen, lines
        self._bar = self.add_task("starting: the first memory loads the model", total=None)
        self._refused = self._problems = 0
        self._report: ImportReport | None = None
        self._began = self._said = time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._lines)

    def show(self, report: ImportReport) -> None:
        """Show how many lines are done, and what of them could not be imported since."""
        for refused in report.refused[self._refused :]:
            where = self._lines.place(refused.line)
            self._screen.aside(f"{where}: {one_line(refused.error, 600)}", "yellow")
        for problem in self._lines.problems[self._problems :]:
            self._screen.aside(one_line(problem, 600), "yellow")
        self._refused, self._problems = len(report.refused), len(self._lines.problems)
        self._report, now, done = report, time.monotonic(), self._lines.fraction
        so_far = f"{report.lines:,} lines, {report.lines / max(now - self._began, 1e-3):,.0f} a second"
        self.update(self._bar, total=None if done is None else 1, completed=done, description=so_far)
        if self.disable and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            part = "" if done is None else f"{100 * done:.0f} %, "
            self._screen.aside(part + so_far)

    def tell_end(self) -> None:
        """Say what was done by an import that was ended, and how it goes on."""
        done = self._report
        if done is None:
            self._screen.aside("Stopped before the first lines were stored.", "yellow")
        else:
            new = (done.new_messages, "message"), (done.new_memories, "memory")
            stored = " and ".join(counted(*each) for each in new if each[0]) or "nothing new"
            known = done.duplicate_messages + done.duplicate_memories
            were = f" ({known:,} were there before)" if known else ""
            self._screen.aside(
                f"Stopped after {counted(done.lines, 'line')}: stored {stored}{were}.", "yellow"
            )
        self._screen.aside("Run the same command again to go on: nothing is stored twice.")


def _described(lines: ChatExportLines) -> dict[str, Any]:
    """Return what was read, as `--json` prints it."""
    return {
        "format": lines.format,
        "conversations": lines.conversations,
        "not_remembered": dict(lines.not_remembered),
        "problems": lines.problems,
    }


def _told(
    report: ImportReport, lines: ChatExportLines, memory: AgentMemory, verbose: bool
) -> list[tuple[str, str]]:
    """Return what was done, as labelled facts."""
    is_chat = lines.format != "lines"
    facts = []
    if is_chat:
        facts.append(("read", f"{_PRODUCTS[lines.format]}: {counted(lines.conversations, 'conversation')}"))
    messages = _numbers(report.new_messages, report.duplicate_messages)
    memories = _numbers(report.new_memories, report.duplicate_memories)
    facts += [("messages", messages)] * bool(messages) + [("memories", memories)] * bool(memories)
    facts += [("imported", "nothing")] * (not messages and not memories)
    facts += [("left out", said) for said in _left_out(report, lines)]
    if not is_chat or verbose:  # what people say again and again in their conversations
        facts += _merges(report, verbose)
    facts += _windows(report, is_chat)
    if is_chat and memory.working.ttl_seconds is not None:
        ttl = span(memory.working.ttl_seconds)
        kept = "AGENTMEM_SESSION_TTL_SECONDS=none keeps them. Memories stay."
        facts.append(("expiry", f"conversations expire {ttl} after their last use; {kept}"))
    if report.refused:
        facts.append(("refused", counted(len(report.refused), "line")))
    if lines.problems:
        facts.append(("refused", f"{counted(len(lines.problems), 'part')} of the export, as told above"))
    return facts


def _numbers(new: int, duplicate: int) -> str:
    """Return how many are new and how many duplicate, without what is none."""
    return ", ".join(
        f"{number:,} {what}" for number, what in ((new, "new"), (duplicate, "duplicate")) if number
    )


def _left_out(report: ImportReport, lines: ChatExportLines) -> Iterator[str]:
    if report.superseded_memories:
        yield f"{counted(report.superseded_memories, 'memory')} that others have replaced"
    long = lines.not_remembered["unusable"]
    if others := lines.not_remembered.total() - long:
        yield f"{others:,} of your messages are no memories: questions, thanks and the like"
    if long:
        yield f"{counted(long, 'message')} too long for a memory"


def _windows(report: ImportReport, is_chat: bool) -> list[tuple[str, str]]:
    """Return which conversations do not hold all of their messages."""
    windows = report.windows
    if not windows:
        return []
    kept = f"its last {windows[0].kept:,} messages; AGENTMEM_MAX_TURNS=none keeps all"
    if is_chat:
        longer = f"{counted(len(windows), 'conversation')} longer than that (--json names each)"
        return [("window", f"a conversation keeps {kept}"), ("window", longer)]
    facts = [("window", f"{one_line(one.thread, 40)}: {_cut_off(one)}") for one in windows[:_NAMED]]
    if len(windows) > _NAMED:
        more = counted(len(windows) - _NAMED, "thread")
        facts.append(("and", f"{more} more, likewise (--json names each)"))
    return [*facts, ("window", f"a conversation keeps {kept}")]


def _cut_off(window: TrimmedSession) -> str:
    return f"{window.messages - window.kept:,} of {window.messages:,} messages are cut off"


def _merges(report: ImportReport, verbose: bool) -> list[tuple[str, str]]:
    """Return into what lines were merged; of many, the first ones unless all are wanted."""
    facts = [("merged", _merged(one)) for one in report.merged[: None if verbose else _NAMED]]
    if len(report.merged) > _NAMED and not verbose:
        more = counted(len(report.merged) - _NAMED, "line")
        facts.append(("and", f"{more} more, likewise (--verbose names each)"))
    return facts


def _merged(merged: MergedLine) -> str:
    """Return into what a line was merged, with both texts where the other one is not in the file."""
    said = f"line {merged.line} “{one_line(merged.text, 40)}” says the same as"
    if merged.into_line is not None:
        return f"{said} line {merged.into_line}"
    return f"{said} the memory {one_line(merged.id, 60)} “{one_line(merged.into_text, 40)}”"
