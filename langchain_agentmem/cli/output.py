"""What a command answers with besides tables: JSON for programs, times, and whether a person agrees."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, BinaryIO

import typer

from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.failures import CommandError

USAGE = 2


def show_json(value: Any) -> None:
    """One JSON document on a line of standard output, at once."""
    from langchain_agentmem.core import json

    out = standard_output()
    out.write(json.dumps(value) + b"\n")
    out.flush()


def moment(ts: float) -> str:
    """A time for a person: ISO 8601, in the local time zone."""
    try:
        return datetime.fromtimestamp(ts).astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{ts:g} s"


def confirmed(screen: Screen, question: str, yes: bool) -> bool:
    """Whether it may be done. Without `--yes` a person is asked; where there is none, it is refused.

    Raises:
        typer.Exit: With exit code 2: nobody is there to ask.
    """
    if yes:
        return True
    if not (screen.is_terminal and sys.stdin is not None and sys.stdin.isatty()):
        typer.echo("error: Nobody is there to confirm it: add --yes.", err=True)
        raise typer.Exit(USAGE)
    from langchain_agentmem.cli.prompt import Prompt

    return Prompt(screen).confirm(question)


def json_object(name: str, value: str | None) -> dict[str, Any] | None:
    """The value of an option that takes a JSON object.

    Raises:
        typer.BadParameter: It is none; exit code 2.
    """
    from langchain_agentmem.core import json

    if value is None:
        return None
    try:
        found = json.loads(value)
    except ValueError as error:
        raise typer.BadParameter(f"--{name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f'--{name} takes a JSON object, such as {{"source": "mail"}}.')
    return found


def standard_input() -> BinaryIO:
    """Standard input.

    Raises:
        CommandError: It is closed.
    """
    if sys.stdin is None:
        raise CommandError("Standard input is closed: give it a file or a pipe.")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Standard output; what was written as text is written before.

    Raises:
        CommandError: It is closed.
    """
    if sys.stdout is None:
        raise CommandError("Standard output is closed: give it a file or a pipe.")
    sys.stdout.flush()
    return sys.stdout.buffer
