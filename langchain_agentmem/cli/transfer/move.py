"""`agentmem move`: everything of a memory from one server to another, and how far it is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from langchain_agentmem.cli import INTERRUPTED, options
from langchain_agentmem.cli.console import Screen, message, show_json
from langchain_agentmem.cli.text import counted, one_line
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError, MissingDependencyError

if TYPE_CHECKING:
    from langchain_agentmem import MoveReport

_SECONDS_BETWEEN_LINES = 5.0
_FEW_SECONDS = 1.0
_ENVIRONMENT = "env:"
_MOST_PARTITIONS = 4096
_NOUNS = {
    "session": "conversation",
    "list": "list of messages",
    "threads": "record of conversations",
    "memory": "memory",
    "pointer": "pointer",
    "events": "event stream",
    "item": "item",
    "queue": "queue of tasks",
    "failed": "failed task",
}
_PLURALS = {
    "list of messages": "lists of messages",
    "record of conversations": "records of conversations",
    "queue of tasks": "queues of tasks",
}


class _Storage(str, Enum):
    json = "json"
    hash = "hash"


class _Vectors(str, Enum):
    float32 = "float32"
    float16 = "float16"


def move(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The URL of the memory, or env:NAME.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of where it goes, or env:NAME.")],
    into: Annotated[
        bool, typer.Option("--into", help="TO may hold a memory; what is newer there is kept.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; write nothing.")] = False,
    passes: Annotated[
        int, options.count_option("--passes", "After how many passes to stop at the latest.")
    ] = 5,
    storage: Annotated[
        _Storage | None, typer.Option("--storage", help="How memories are stored there; else as they are.")
    ] = None,
    vector_type: Annotated[
        _Vectors | None,
        typer.Option("--vector-type", help="Of what numbers their vectors are there; else as they are."),
    ] = None,
    partitions: Annotated[
        int | None,
        typer.Option(
            "--partitions",
            metavar="N",
            min=0,
            max=_MOST_PARTITIONS,
            help="How many there are at TO; 0 for none. Else AGENTMEM_PARTITIONS; 256 on a cluster.",
        ),
    ] = None,
    from_partitions: Annotated[
        int | None,
        typer.Option("--from-partitions", metavar="N", min=0, max=_MOST_PARTITIONS, help="The same of FROM."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Copy everything to another server, while it is in use.

    Between standalone servers, clusters and layouts: conversations, memories, events, items of the LangGraph
    store and tasks, with their ids, dates, vectors and what is left of each TTL. FROM is only read. What
    changes meanwhile comes with the next pass; the last pass changes nothing. Then both sides are compared.
    Run the same command again to go on, whatever ended it, or to bring what has changed since.

    \b
      agentmem move redis://old:6379 redis://new:6379
      agentmem move redis://old:6379 redis+cluster://a:7000,b:7000
      agentmem move env:OLD_URL env:NEW_URL --storage hash

    To switch over: run it; stop what writes to FROM; run it again, which takes seconds; start on TO.
    The AGENTMEM_ settings hold for both sides. If something differs or cannot be read, it is said what, and
    the exit code is 1.
    """
    screen = Screen()
    urls = _url(source, "FROM", screen), _url(target, "TO", screen)
    if not dry_run:
        screen.aside(f"from {_place(urls[0])} to {_place(urls[1])}")
    with Moving(screen, dry_run) as moving, _told(moving):
        from langchain_agentmem import move_memory

        with _usage(*urls):
            report = move_memory(
                *urls,
                partitions=partitions,
                from_partitions=from_partitions,
                storage=None if storage is None else storage.value,
                vector_type=None if vector_type is None else vector_type.value,
                into=into,
                passes=passes,
                dry_run=dry_run,
                on_progress=moving.show,
            )
    if as_json:
        show_json(report.to_dict())
    else:
        screen.facts(_counted(report) if dry_run else _facts(report))
    for sentence in _warnings(report, dry_run):
        screen.aside(sentence, "yellow")
    if not (into or dry_run) and (more := counted_kinds(report.at_target - report.found)):
        screen.aside(
            f"TO has {more} more than FROM: deleted there meanwhile, or written at TO by others. If nobody "
            "writes to either, delete what is left of it at TO.",
            "yellow",
        )
    if partitions and not dry_run:
        screen.aside(f"Set AGENTMEM_PARTITIONS={partitions} for whatever uses TO.")
    if not report.ok:
        raise typer.Exit(1)


def _url(given: str, name: str, screen: Screen) -> str:
    """Return the URL that was given, or that the environment has; warn of a password on the command line."""
    if given.startswith(_ENVIRONMENT):
        variable = given.removeprefix(_ENVIRONMENT)
        if not (found := os.environ.get(variable)):
            raise typer.BadParameter(f"{one_line(variable, 60)} is not set.", param_hint=name)
        return found
    if options.is_secret(None, given):
        screen.aside(
            f"warning: Other users of this machine can read the password in {name}, as in every command "
            f"line. Put the URL in a variable, and give env:VARIABLE instead.",
            "yellow",
        )
    return given


@contextmanager
def _usage(source: str, target: str) -> Iterator[None]:
    """Turn a URL that is not understood into wrong usage."""
    from langchain_agentmem.transport.urls import is_rest, open_source

    for url, name in ((source, "FROM"), (target, "TO")):
        if is_rest(url):
            continue  # move_memory says what to use
        try:
            open_source(url, 1.0).close()
        except MissingDependencyError:
            raise
        except ConfigurationError as error:
            raise typer.BadParameter(message(error).removeprefix("error: "), param_hint=name) from error
    yield


def _place(url: str) -> str:
    """Return where a URL leads, without secrets."""
    from langchain_agentmem.cli.text import place

    return place(url)


class Moving(Progress):
    """Shows how far a move is: a bar on a terminal, else a line now and then; on standard error.

    Args:
        screen: Where it is shown.
        dry_run: Whether it only counts.
    """

    def __init__(self, screen: Screen, dry_run: bool) -> None:
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=16),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        super().__init__(*columns, console=screen.err, transient=True, disable=not screen.err.is_lively)
        self._screen, self._dry_run = screen, dry_run
        self._bar = self.add_task("connecting", total=None)
        self._report: MoveReport | None = None
        self._began = self._said = time.monotonic()

    def show(self, report: MoveReport) -> None:
        """Show what is done so far."""
        self._report, now = report, time.monotonic()
        found = report.found.total()
        if report.phase == "moving":
            what = "counting" if self._dry_run else f"pass {report.passes}"
            so_far = f"{what}: {found:,} looked at, {report.changed:,} written"
        else:
            so_far = f"comparing: {found:,} looked at"
        total = max(report.keys, found) or None
        self.update(self._bar, total=total, completed=found, description=so_far)
        if self.disable and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._screen.aside(so_far)

    def tell_end(self) -> None:
        """Say what was done by a move that was ended, and how it goes on."""
        if self._dry_run:
            return
        report = self._report
        if report is None:
            self._screen.aside("Stopped before anything was written.", "yellow")
            return
        done = counted_kinds(report.brought) or "nothing"
        self._screen.aside(f"Stopped in pass {report.passes}, after writing {done}.", "yellow")
        self._screen.aside("Run the same command again to go on: nothing is copied twice.")


@contextmanager
def _told(moving: Moving) -> Iterator[None]:
    """If the move is ended, say what it has done so far."""
    try:
        yield
    except (KeyboardInterrupt, AgentMemoryError) as error:
        moving.stop()
        if isinstance(error, KeyboardInterrupt):
            moving.tell_end()
            raise typer.Exit(INTERRUPTED) from None
        if moving.tasks[0].completed:
            moving.tell_end()
        raise


def counted_kinds(counts: Mapping[str, int]) -> str:
    """Return how many there are of each kind: `3 conversations, 12 memories`; pointers belong to memories."""
    parts = []
    for kind, noun in _NOUNS.items():
        number = counts.get(kind, 0)
        if not number or kind == "pointer":
            continue
        plural = number != 1 and noun in _PLURALS
        parts.append(f"{number:,} {_PLURALS[noun]}" if plural else counted(number, noun))
    return ", ".join(parts)


def _counted(report: MoveReport) -> list[tuple[str, str]]:
    return [
        ("found", counted_kinds(report.found) or "nothing to move"),
        ("at TO", counted_kinds(report.at_target) or "nothing"),
    ]


def _facts(report: MoveReport) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = [("found", counted_kinds(report.found) or "nothing to move")]
    written = counted_kinds(report.brought) or "nothing that was not there"
    passes = "1 pass" if report.passes == 1 else f"{report.passes} passes"
    facts.append(("written", f"{written}; in {passes}"))
    facts += [("deleted", f"{report.deleted:,} that FROM no longer has")] * bool(report.deleted)
    facts += [("joined", f"{report.joined:,} with what TO had")] * bool(report.joined)
    facts += [("kept", f"{report.kept:,} that are newer at TO")] * bool(report.kept)
    facts.append(("equal", f"{report.verified:,} compared, {report.differing or 'none'} differ"))
    return facts


def _warnings(report: MoveReport, dry_run: bool) -> Iterator[str]:
    for name in report.names:
        yield f"differs: {one_line(name)}"
    if report.differing > len(report.names):
        yield f"and {report.differing - len(report.names):,} more"
    if report.differing:
        yield (
            "Run the same command again: it brings what differs once more, except what is newer at TO. What "
            "was deleted at TO would come back: delete it at FROM, too."
        )
    for sentence in report.unreadable:
        yield f"not moved: {one_line(sentence)}"
    if report.unreadable:
        yield "Delete those keys at FROM, or mend them, and run the same command again."
    if report.pending:
        yield (
            f"{report.pending:,} changed at FROM meanwhile. To switch over, stop what writes there and run "
            "the same command again."
        )
    if abs(report.clock_difference_seconds) >= _FEW_SECONDS and not dry_run:
        ahead = "ahead of" if report.clock_difference_seconds > 0 else "behind"
        yield (
            f"The clock of TO is {abs(report.clock_difference_seconds):,.0f} s {ahead} that of FROM: what "
            "expires does so by its own clock."
        )
