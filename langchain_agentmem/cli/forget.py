"""`agentmem forget`: a user is removed from every tier."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, counted, one_line, show_json

if TYPE_CHECKING:
    from langchain_agentmem.user_data import Forgotten


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who is forgotten.")],
    redis: options.Redis = None,
    thorough: options.Thorough = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove everything of a user, from every tier.

    That is sessions, memories in every namespace, events. Asks first. Without a terminal, --yes is needed;
    else nothing happens and the exit code is 2. If something could not be removed, it is said what, and the
    exit code is 1.

    \b
      agentmem forget alice
      agentmem forget alice --thorough
      agentmem forget alice --yes --json
    """
    screen = Screen()
    if not screen.confirmed(question(user), yes):
        return screen.facts([kept(user)])
    with open_store(redis, screen) as memory:
        gone = memory.forget_user(user, thorough=thorough)
    if as_json:
        show_json({"user": user, **asdict(gone)})
    else:
        screen.facts([forgotten(user, gone)])
    for sentence in gone.unreached:
        screen.aside(f"not reached: {one_line(sentence)}", "yellow")
    if gone.unreached:
        raise typer.Exit(1)
    return None


def question(user: str) -> str:
    """Return what a person is asked first."""
    return f"Remove everything of {one_line(user, 60)}, in every thread and namespace?"


def kept(user: str) -> tuple[str, str]:
    """Return the fact that nothing was removed."""
    return "kept", f"everything of {one_line(user, 60)}"


def forgotten(user: str, gone: Forgotten) -> tuple[str, str]:
    """Return the fact of what was removed, in numbers."""
    counts = ((len(gone.threads), "thread"), (gone.memories, "memory"), (gone.events, "event"))
    return "forgot", f"{one_line(user, 60)}: " + ", ".join(counted(*each) for each in counts)
