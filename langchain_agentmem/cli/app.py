"""The command line, `agentmem`. Every command is a module of its own; here they are put together.

Importing this loads typer and rich, and nothing that takes longer: `--help` answers at once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from langchain_agentmem import __version__
from langchain_agentmem.cli import (
    INTERRUPTED,
    cluster,
    consolidate,
    demo,
    doctor,
    events,
    forget,
    mcp,
    memories,
    recall,
    redis_server,
    remember,
    sessions,
    worker,
)
from langchain_agentmem.cli.chat import app as chat
from langchain_agentmem.cli.console import message
from langchain_agentmem.cli.help import FIRST_STEPS, help_
from langchain_agentmem.cli.text import printable
from langchain_agentmem.cli.transfer import export, import_, move
from langchain_agentmem.errors import AgentMemoryError

OUTPUT_CLOSED = 141  # 128 + SIGPIPE: what a shell reports of a program that it ends

# What is said to those who give --user to a command that has none.
_WITHOUT_USER = {
    "events": "It takes the id of a conversation: agentmem events ID. agentmem sessions lists them.",
    "forget": "It takes the user as its argument: agentmem forget NAME.",
}
# What the library that typer converts values with says, and what is said instead.
_REFUSALS = [
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^Input should be a valid integer\b.*", re.DOTALL), "it must be a whole number."),
    (re.compile(r"^Input should be a valid number\b.*", re.DOTALL), "it must be a number."),
    (re.compile(r"^Input should be greater than or equal to (.*)"), r"it must be at least \1."),
    (re.compile(r"^Input should be less than or equal to (.*)"), r"it must be at most \1."),
    (re.compile(r"^Input should be "), "it must be "),
]


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a command may fail with into a line on stderr and an exit code; bugs keep their traceback."""
    try:
        yield
    except typer.BadParameter as error:
        error.message = in_words(error.message)
        raise
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
    except Exception as error:
        _hint(error)
        raise


def _hint(error: Any) -> None:
    """Add what a command takes to the refusal of --user; its class has no public name in every typer."""
    command = error.ctx and error.ctx.info_name if getattr(error, "option_name", None) == "--user" else None
    if command in _WITHOUT_USER:
        error.message += f". {_WITHOUT_USER[command]}"


def in_words(refusal: str) -> str:
    """Return what is wrong with an option's value, as a sentence about it rather than about a type."""
    for pattern, words in _REFUSALS:
        refusal = pattern.sub(words, refusal)
    return refusal


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


_EPILOG = """Most commands take --redis URL, --user NAME and --json: agentmem help explains them, and
agentmem help COMMAND a command."""


@app.callback(invoke_without_command=True, epilog=_EPILOG)
def agentmem(
    ctx: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Agent memory for LangChain on Redis: working memory, long-term memory, an event log."""
    if ctx.invoked_subcommand is None:
        typer.echo(FIRST_STEPS)


for _run in (
    *(demo.demo, chat.chat),
    *(recall.recall, remember.remember, remember.update, memories.memories, consolidate.consolidate),
    *(sessions.sessions, sessions.session, events.events),
    *(import_.import_, export.export, move.move, forget.forget, doctor.doctor),
    *(worker.worker, mcp.mcp, redis_server.redis, cluster.cluster, help_),
):
    app.command(_run.__name__.rstrip("_"))(_run)
