"""How a command ends when something goes wrong: one line on stderr and an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from langchain_agentmem.cli.text import printable
from langchain_agentmem.errors import AgentMemoryError

INTERRUPTED = 130  # 128 + SIGINT, and 128 + SIGPIPE: what a shell reports of programs they end
OUTPUT_CLOSED = 141


class CommandError(AgentMemoryError):
    """Something outside the memory went wrong: the model, the input."""


@contextmanager
def reported() -> Iterator[None]:
    """Turn what a command may fail with into the end of the process; bugs keep their traceback."""
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


def message(error: AgentMemoryError, where: str = "") -> str:
    """The line for an error, without secrets; a person reads it, so a class name says little."""
    from langchain_agentmem.core.redaction import redact

    return printable(f"error: {where}{redact(str(error))}", keep="\n")


def _discard_output() -> None:
    """Python flushes stdout once more when it ends, and would complain again."""
    if sys.stdout is None:  # closed by whoever runs this
        return
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
