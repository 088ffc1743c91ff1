"""The command line, `agentmem`. Every command is a module of its own; here they are put together.

Importing this loads typer and rich, and nothing that takes longer: `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from langchain_agentmem import __version__
from langchain_agentmem.cli import demo, doctor, events, forget, memories, redis_server, sessions
from langchain_agentmem.cli.chat import app as chat
from langchain_agentmem.cli.console import INTERRUPTED, message, printable
from langchain_agentmem.cli.transfer import export, import_
from langchain_agentmem.errors import AgentMemoryError

OUTPUT_CLOSED = 141  # 128 + SIGPIPE: what a shell reports of a program that it ends


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a command may fail with into a line on stderr and an exit code; bugs keep their traceback."""
    try:
        yield
    except AgentMemoryError as error:
        typer.echo(message(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:  # `agentmem … | head -1`: the reader has enough
        _discard_output()
        raise typer.Exit(OUTPUT_CLOSED) from None
    except OSError as error:
        _discard_output()
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        typer.echo(printable(f"error: {place}{error.strerror or error}"), err=True)
        raise typer.Exit(1) from error


def _discard_output() -> None:
    """Discard what is still to be written: Python flushes stdout as it ends, and would complain again."""
    if sys.stdout is None:  # closed by whoever runs this
        return
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run the command; whatever it fails with becomes a line and an exit code."""
        with reported():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would print the values of variables, and so passwords
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentmem {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def agentmem(
    ctx: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Agent memory for LangChain on Redis: working memory, long-term memory, an event log."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for _run in (
    *(demo.demo, chat.chat),
    *(memories.recall, memories.remember, memories.update, memories.memories),
    *(sessions.sessions, sessions.session, events.events),
    *(import_.import_, export.export, forget.forget, doctor.doctor, redis_server.redis),
):
    app.command(_run.__name__.rstrip("_"))(_run)
